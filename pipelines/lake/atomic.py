"""Files of this machine that appear whole, wherever they are written."""

from __future__ import annotations

import os
from pathlib import Path


def put_file(path: Path, content: bytes) -> None:
    """Write a file whole: a reader sees the old content or the new one, whatever is killed.

    Its folder is made. It is written under a hidden name first, then renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # else a machine that goes down may leave the new name, empty
    # Hadoop keeps a checksum beside its own files, and would hold the new content against it.
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    beside.replace(path)
