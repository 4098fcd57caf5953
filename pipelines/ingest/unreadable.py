"""Files that can't be read, found one by one where Spark says only that a job failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pipelines.errors import TidemillError
from pipelines.ingest.files import LandingFile
from pipelines.ingest.ledger import DAMAGED, UNREADABLE

# What a failed read is called, by Spark and by what a job's failure quotes.
_FAILED_READ = re.compile(r"FAILED_READ_FILE|PATH_NOT_FOUND|CANNOT_READ_FILE_FOOTER|BadFile: ")
# Of a footer that it can't read Spark tells nothing but the error of the library that tried.
_OF_PARQUET = re.compile(r"\bparquet\b.*(?<!Encoding)Exception")
_FINDING = re.compile(r"BadFile: (.+)")
"""What a reader in Python says of a file it can't read."""
# It may be there, allowed or answer another time; anything else lies in the bytes.
_PASSING = re.compile(
    "FileNotFound|NoSuchFile|NoSuchPath|PATH_NOT_FOUND|FILE_NOT_EXIST|Access|Permission|Denied|"
    "Socket|Connect|UnknownHost|Timeout|Interrupted|FileSystemException|BlockMissing|"
    "s3a|amazon|RemoteException|StandbyException"
)
_LENGTH = 300


def reason_of(error: BaseException) -> str:
    """Say why a file could not be read: the innermost cause, in one line."""
    if finding := _FINDING.search(str(error)):
        return finding[1]
    causes = _causes(error)
    name, message = causes[-1]
    line = next(iter(message.splitlines()), "")[:_LENGTH]
    short = name.rpartition(".")[2]
    what = f"{short}: {line}" if line else short
    is_passing = any(_PASSING.search(name) or "PATH_NOT_FOUND" in said for name, said in causes)
    return f"{UNREADABLE}{what}" if is_passing else f"{DAMAGED}{what}"


def is_failed_read(error: BaseException) -> bool:
    """Tell whether a Spark job failed because a file could not be read."""
    return bool(_FAILED_READ.search(str(error))) or any(
        _FAILED_READ.search(said) or _OF_PARQUET.search(name) for name, said in _causes(error)
    )


def find_unreadable(
    files: Sequence[LandingFile], read: Callable[[Sequence[LandingFile]], object]
) -> dict[LandingFile, str]:
    """Return which files `read` fails on, and why; halves are tried until each stands alone.

    An error that is no failed read is raised: it tells nothing of the files.
    """
    try:
        read(files)
    except TidemillError:
        raise
    except Exception as error:
        if not is_failed_read(error):
            raise
        if len(files) == 1:
            return {files[0]: reason_of(error)}
        middle = len(files) // 2
        return find_unreadable(files[:middle], read) | find_unreadable(files[middle:], read)
    return {}


def _causes(error: BaseException) -> list[tuple[str, str]]:
    """Return class and message of an error and its causes, the outermost first."""
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    if java is None:
        return [(type(error).__name__, str(error))]
    found: list[tuple[str, str]] = []
    while java is not None and len(found) < 20:
        found.append((str(java.getClass().getName()), str(java.getMessage() or "")))
        java = java.getCause()
    return found
