"""Where a model came from: the code and the packages it was trained with."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import pipelines

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pyspark", "horovod", "petastorm")


def packages() -> dict[str, str]:
    """Return the versions of the packages that a model depends on, as far as they are there."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_version(root: Path) -> dict[str, str]:
    """Return tidemill's version, and the commit of the project at `root` where there is one."""
    found = {"tidemill": pipelines.__version__}
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return found
    return {**found, "commit": asked.stdout.strip()}


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
