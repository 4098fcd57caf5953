"""What `tidemill doctor` looks at: is every part of the environment there, in the right version.

Nothing heavy is imported: versions come from the packages' metadata, Horovod and the Delta jars are
judged by their files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30
MIN_MEMORY_GIB = 6
MIN_DISK_GIB = 5
JAVA_RELEASES = (17, 21)
HOROVOD_VERSION = "0.28.1"
DELTA_JARS = ("delta-spark_4.0_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")
# On hosts with a GPU the second takes the place of the first.
SAME_PACKAGE = {"tensorflow-cpu": "tensorflow"}

# Not only `make setup`: its stamps say that all was done, whatever was taken away since.
SETUP = "rm -rf .venv && make setup"
APT = "sudo apt-get install"


@dataclass(frozen=True)
class Check:
    """One part of the environment.

    `found` is None where the part is absent. A part that is not `ok` stops some stage or the
    set-up, and `fix` says what to do about it. What may be absent is `ok` without `found`.
    """

    name: str
    found: str | None
    expected: str
    ok: bool
    fix: str = ""


def checks(root: Path = ROOT) -> list[Check]:
    """Return every check, in the order in which the parts depend on each other."""
    horovod = _horovod()
    return [
        _python(),
        _java(),
        _tool("g++", f"{APT} g++", is_needed=horovod.found is None),
        _tool("make", f"{APT} make", is_needed=horovod.found is None),
        *_packages(),
        horovod,
        *_delta_jars(),
        _airflow(root),
        _memory(),
        _disk(root),
    ]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    fix = f"{APT} python3.11 python3.11-venv, then {SETUP}"
    return Check("python", found, "3.11", sys.version_info[:2] == (3, 11), fix)


def _java() -> Check:
    """Check the Java that Spark takes: that of JAVA_HOME, or else the first on the path."""
    expected = " or ".join(map(str, JAVA_RELEASES))
    home = os.environ.get("JAVA_HOME")
    found = _first_line([f"{home}/bin/java" if home else "java", "-version"])
    version = re.search(r'version "([^"]+)"', found or "")
    fix = f"{APT} openjdk-17-jdk-headless"
    if version is None:
        return Check("java", None, expected, ok=False, fix=_for_java_home(home, fix))
    release = int(version[1].split(".")[0].split("-")[0])
    is_known = release in JAVA_RELEASES
    return Check("java", version[1], expected, is_known, _for_java_home(home, fix))


def _for_java_home(home: str | None, fix: str) -> str:
    return f"{fix}; JAVA_HOME is {home}: unset it or let it name the new one" if home else fix


def _tool(name: str, fix: str, *, is_needed: bool) -> Check:
    """Check a tool of Horovod's build, needed only until Horovod is there."""
    line = _first_line([name, "--version"])
    version = re.search(r"\d+(\.\d+)+", (line or "").split(")")[-1])
    expected = "any" if is_needed else "any (only to build Horovod)"
    return Check(name, version[0] if version else line, expected, bool(line) or not is_needed, fix)


def _first_line(command: list[str]) -> str | None:
    """Return the first line a command prints on either stream, None if it can't be run."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # The JVM announces options taken from the environment on a line of its own, before the version.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Picked up ")]
    return lines[0] if done.returncode == 0 and lines else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pinned_packages() -> dict[str, str]:
    """Return the exact pins of the project's extra `ml`, by package."""
    requirements = metadata.requires("tidemill") or []
    pins = (re.match(r'([\w.-]+)==([\w.]+)\s*;\s*extra == "ml"', text) for text in requirements)
    return {pin[1]: pin[2] for pin in pins if pin}


def _packages() -> Iterator[Check]:
    try:
        pins = pinned_packages()
    except metadata.PackageNotFoundError:
        yield Check("tidemill", None, "installed", ok=False, fix=SETUP)
        return
    for package, pin in pins.items():
        found = _version(package) or _version(SAME_PACKAGE.get(package, package))
        yield Check(package, found, pin, found == pin, SETUP)


def _horovod() -> Check:
    """Check that Horovod has its TensorFlow part, for the TensorFlow beside it, with Gloo."""
    name, expected = "horovod", f"{HOROVOD_VERSION} with TensorFlow and Gloo"
    found = _version("horovod")
    if found is None:
        return Check(name, None, expected, ok=False, fix=SETUP)
    folder = Path(str(metadata.distribution("horovod").locate_file("horovod")))
    libraries = list((folder / "tensorflow").glob("mpi_lib*.so"))
    lacks = []
    if not libraries:
        lacks.append("no TensorFlow")
    elif b"GlooController" not in libraries[0].read_bytes():
        lacks.append("no Gloo")
    tensorflow = _version("tensorflow-cpu") or _version("tensorflow")
    built_for = _horovod_built_for(folder)
    if libraries and built_for != tensorflow:
        lacks.append(f"built for TensorFlow {built_for}, beside {tensorflow}")
    ok = found == HOROVOD_VERSION and not lacks
    return Check(name, ", ".join([found, *lacks]), expected, ok, SETUP)


def _horovod_built_for(folder: Path) -> str | None:
    """Return the version of TensorFlow that Horovod's build wrote down."""
    try:
        written: dict[str, str] = json.loads((folder / "metadata.json").read_text())
    except (OSError, ValueError):
        return None
    return written.get("tensorflow")


def _delta_jars() -> Iterator[Check]:
    try:
        pyspark = metadata.distribution("pyspark").locate_file("pyspark")
    except metadata.PackageNotFoundError:
        pyspark = None
    for jar in DELTA_JARS:
        name, _, version = jar.removesuffix(".jar").rpartition("-")
        is_there = pyspark is not None and Path(str(pyspark), "jars", jar).is_file()
        yield Check(f"{name}.jar", version if is_there else None, version, is_there, SETUP)


def _airflow(root: Path) -> Check:
    """Look for Airflow in its own environment; without it everything but the DAGs works."""
    folders = [str(path) for path in root.glob(".venv-airflow/lib/python*/site-packages")]
    found = [dist.version for dist in metadata.distributions(name="apache-airflow", path=folders)]
    expected = "optional, for the DAGs (make airflow)"
    return Check("airflow", found[0] if found else None, expected, ok=True)


def _memory() -> Check:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    fix = "close other programs, or lower spark.driver.memory in conf/spark/local.conf"
    return Check("memory", f"{gib:.1f} GiB", f"{MIN_MEMORY_GIB} GiB", gib >= MIN_MEMORY_GIB, fix)


def _disk(root: Path) -> Check:
    gib = shutil.disk_usage(root).free / GIB
    fix = f"free some space where {root} lies"
    return Check("disk", f"{gib:.1f} GiB free", f"{MIN_DISK_GIB} GiB", gib >= MIN_DISK_GIB, fix)
