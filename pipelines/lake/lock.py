"""One writer at a time on a table of a `file:` lake.

Delta's local log store is safe only inside one JVM, so each write takes a lock of the operating
system. The lock goes when its holder ends, however it ends. Object stores and HDFS bring their
own commit protocol; there this does nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipelines.errors import LakeError, LockTimeout

_POLL_SECONDS = 0.1


def _local(path: str) -> Path | None:
    if path.startswith("file:"):
        return Path(path.removeprefix("file://").removeprefix("file:"))
    return None if "://" in path else Path(path)


@contextmanager
def write_lock(table_path: str, timeout: float = 3600.0, what: str = "") -> Iterator[None]:
    """Hold the write lock of the table at `table_path`; wait `timeout` seconds at most.

    `what` tells those who wait for what it is held.
    """
    folder = _local(table_path)
    if folder is None:
        yield
        return
    lock_file = folder.parent / f"_{folder.name}.lock"
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        handle = lock_file.open("a+")
    except OSError as error:
        raise LakeError(
            f"the lake can't be written: {lock_file.parent}: {error.strerror}. "
            "Give another place with --lake, or mend the folder's permissions."
        ) from error
    with handle:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockTimeout(
                        f"{table_path} has been held by {_holder(handle)} for more than "
                        f"{timeout:.0f} s. Wait for it to end, then run this stage again."
                    ) from None
                time.sleep(_POLL_SECONDS)
        handle.truncate(0)
        handle.write(f"process {os.getpid()}{f' ({what})' if what else ''}")
        handle.flush()
        yield


def _holder(handle: TextIO) -> str:
    """Return who wrote into the lock file that it has the lock."""
    handle.seek(0)
    return handle.read() or "another process"
