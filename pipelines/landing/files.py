"""Landing files appear whole, and one that holds what it should is left alone."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import LandingError
from pipelines.lake.atomic import put_file


def put(file: Path, content: bytes) -> int:
    """Write a file whole unless it already holds this content, or more; return 1 if written."""
    try:
        if file.is_file() and file.read_bytes().startswith(content):
            return 0
        put_file(file, content)
    except OSError as error:
        raise LandingError(
            f"the landing file {file} can't be written: {error.strerror}. "
            "Mend the folder's permissions, or give the pipeline another `landing`."
        ) from error
    return 1
