"""Where a model came from: the code and the packages it was trained with."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pipelines
from pipelines.fingerprint import code_hash

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pyspark", "horovod", "petastorm")
_SMALL_BYTES = 2**25


def packages() -> dict[str, str]:
    """Return the versions of the packages that a model depends on, as far as they are there."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_version(root: Path) -> dict[str, Any]:
    """Return what code runs: tidemill's version and hash, and the state of the project at `root`.

    Where the project is under git that is its `commit`, whether anything in it differs from that
    (`is_dirty`), and then a hash of the difference, files that git doesn't know included.
    """
    found: dict[str, Any] = {"tidemill": pipelines.__version__, "package": code_hash()}
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return found
    found["commit"] = commit.decode().strip()
    changed = _git(root, "status", "--porcelain", "-z", "--", ".")
    if changed is None:
        return found
    found["is_dirty"] = bool(changed)
    if changed:
        found["difference"] = _difference(root)
    return found


def _difference(root: Path) -> str:
    """Return a hash of what differs from the commit: the text, and files that git doesn't know."""
    whole = hashlib.sha256(_git(root, "diff", "HEAD", "--binary", "--", ".") or b"")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".") or b""
    for name in sorted(filter(None, unknown.split(b"\0"))):
        file = root / os.fsdecode(name)
        whole.update(name + b"\0")
        with contextlib.suppress(OSError):
            # Data that somebody left in the project is not worth minutes.
            is_small = file.stat().st_size <= _SMALL_BYTES
            whole.update(file.read_bytes() if is_small else str(file.stat().st_size).encode())
    return whole.hexdigest()


def _git(root: Path, *command: str) -> bytes | None:
    """Return what git says of a folder; None where there is no git, or no repository."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout


def cpu() -> str:
    """Return the kind of this machine's CPU: what its sums of floats depend on."""
    found = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                found = line.partition(":")[2].strip()
                break
    except OSError:
        found = platform.processor()
    return f"{platform.machine()} {found}".strip()
