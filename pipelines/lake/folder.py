"""A folder of small files, on this machine or behind a URI, read and written without Spark.

Ranks run on executors, where there is no door to Spark's own file systems. Whoever writes several
files that belong together writes their manifest last: object stores have no atomic rename.
"""

from __future__ import annotations

import shutil
from typing import Any

from pipelines.errors import SetupError
from pipelines.lake.atomic import put_file
from pipelines.lake.storage import file_system, local_path


class Folder:
    """Files by name in one folder; names may hold `/`. Made on the first write."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._local = local_path(uri)
        self._remote: Any = None

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole; a reader sees the old content or the new one."""
        if self._local is None:
            system, root = self._system()
            if system.protocol != "s3":  # which knows no folders
                system.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            system.pipe_file(f"{root}/{name}", content)
            return
        put_file(self._local / name, content)

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is no such file."""
        try:
            if self._local is not None:
                return (self._local / name).read_bytes()
            system, root = self._system()
            return bytes(system.cat_file(f"{root}/{name}"))
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names of the files and folders right below, sorted."""
        if self._local is not None:
            found = [path.name for path in self._local.glob("*")]
        else:
            system, root = self._system()
            try:
                listed = system.ls(root, detail=False, refresh=True)
            except FileNotFoundError:
                return []
            found = [str(path).rstrip("/").rpartition("/")[2] for path in listed]
        return sorted(name for name in found if not name.startswith("."))

    def all_names(self) -> list[str]:
        """Return the names of the files below, those of folders of this folder too, sorted."""
        if self._local is not None:
            found = [str(one.relative_to(self._local)) for one in self._local.rglob("*")]
            return sorted(name for name in found if (self._local / name).is_file())
        system, root = self._system()
        names = (str(path).partition(f"{root.strip('/')}/")[2] for path in system.find(root))
        return sorted(name for name in names if name)

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all it holds; do nothing where there is none."""
        if self._local is None:
            system, root = self._system()
            if system.exists(f"{root}/{name}"):
                system.rm(f"{root}/{name}", recursive=True)
            return
        path = self._local / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def below(self, name: str) -> Folder:
        """Return a folder of this folder."""
        return Folder(f"{self.uri}/{name}")

    def _system(self) -> tuple[Any, str]:
        if self._remote is None:
            try:
                self._remote = file_system(self.uri)
            except (ImportError, ValueError) as error:
                raise SetupError(
                    f"{self.uri} can't be reached from Python: {error}. Install the fsspec "
                    "package for it in the environment of driver and executors."
                ) from error
        system, root = self._remote
        return system, str(root)
