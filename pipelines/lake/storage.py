"""Files of a table without Spark: a folder of any file system that fsspec knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

_SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""Hadoop's names of schemes that have another one elsewhere."""


def as_uri(place: str) -> str:
    """Return a folder's URI as fsspec reads it: Hadoop's `file:/x` and `s3a://` are put right."""
    if place.startswith("file:"):
        return "/" + place.removeprefix("file:").lstrip("/")
    scheme, separator, rest = place.partition("://")
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}" if separator else place


@cache
def file_system(uri: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI, and the URI's path in it."""
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    system, path = url_to_fs(as_uri(uri))
    return system, path.rstrip("/")


@dataclass(frozen=True)
class TableFiles:
    """The files of one table: names are as Delta's log has them, after URL decoding."""

    table: str

    def locate(self, name: str) -> tuple[Any, str]:
        """Return file system and path of a file; a name with a scheme is taken as it is."""
        if "://" in name or name.startswith("file:"):
            return file_system(name)
        system, root = file_system(self.table)
        return system, name if name.startswith("/") else f"{root}/{name}"

    def names(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder of the table; none where it doesn't exist."""
        system, path = self.locate(folder)
        try:
            found = system.ls(path, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return [str(one).rstrip("/").rpartition("/")[2] for one in found]

    def read(self, name: str, start: int | None = None, length: int | None = None) -> bytes:
        """Return a file's content, or `length` bytes of it from `start` on."""
        system, path = self.locate(name)
        end = None if start is None or length is None else start + length
        content: bytes = system.cat_file(path, start=start, end=end)
        return content

    def open(self, name: str) -> Any:
        """Open a file for reading, as pyarrow takes it."""
        system, path = self.locate(name)
        if "file" in system.protocol:
            import pyarrow as pa

            return pa.memory_map(path, "r")
        return system.open(path, "rb")


def decoded(path: str) -> str:
    """Return a path of Delta's log as a file's name (the log has it URL-encoded)."""
    return unquote(path)
