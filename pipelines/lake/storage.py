"""Files of a table without Spark: a folder of any file system that fsspec knows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

WEBHDFS = "TIDEMILL_WEBHDFS"
"""Names the name node's web address (host:port); without it Python asks libhdfs."""
_SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""Hadoop's names of schemes that have another one elsewhere."""


def as_uri(place: str) -> str:
    """Return a folder's URI as fsspec reads it: Hadoop's `file:/x` and `s3a://` are put right."""
    if place.startswith("file:"):
        return "/" + place.removeprefix("file:").lstrip("/")
    scheme, separator, rest = place.partition("://")
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}" if separator else place


def local_path(uri: str) -> Path | None:
    """Return the path on this machine that a place names, or None for any other file system."""
    if uri.startswith("file:"):
        return Path("/" + uri.removeprefix("file:").lstrip("/"))
    return None if "://" in uri else Path(uri)


@cache
def file_system(uri: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI, and the URI's path in it."""
    place = as_uri(uri)
    if place.startswith("s3://"):
        bucket_and_path = place.removeprefix("s3://").rstrip("/")
        return _s3(bucket_and_path.partition("/")[0]), bucket_and_path
    web = os.environ.get(WEBHDFS)
    if place.startswith("hdfs://") and web:
        return _web_hdfs(web), "/" + place.removeprefix("hdfs://").partition("/")[2].rstrip("/")
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    system, path = url_to_fs(place)
    return system, path.rstrip("/")


@cache
def _s3(bucket: str) -> Any:
    """Return the file system of a bucket: Arrow's, which its wheel brings along.

    Credentials come from where every AWS client looks: variables of the environment, a profile, the
    machine's role. `AWS_ENDPOINT_URL` names another S3 than Amazon's, as it does to Spark.
    """
    from fsspec.implementations.arrow import ArrowFSWrapper  # type: ignore[import-untyped]
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    settings = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, address = endpoint.rpartition("://")
        settings = {"endpoint_override": address.rstrip("/"), "scheme": scheme or "https"}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        region = "us-east-1" if endpoint else resolve_s3_region(bucket)
    # Writing in Arrow's own threads saves nothing for small files.
    return ArrowFSWrapper(S3FileSystem(region=region, background_writes=False, **settings))


@cache
def _web_hdfs(address: str) -> Any:
    """Return HDFS as its name node's web address gives it: it needs no native library."""
    from getpass import getuser

    from fsspec.implementations.webhdfs import WebHDFS  # type: ignore[import-untyped]

    host, _, port = address.partition(":")
    user = os.environ.get("HADOOP_USER_NAME") or getuser()
    return WebHDFS(host=host, port=int(port or 9870), user=user)


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
        except (FileNotFoundError, NotADirectoryError):
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
        if system.protocol == "s3":
            return system.fs.open_input_file(path)
        return system.open(path, "rb")


def decoded(path: str) -> str:
    """Return a path of Delta's log as a file's name (the log has it URL-encoded)."""
    return unquote(path)
