"""Run everything that `make test` promises, in parts, and say at the end how long each took.

The parts that take long run side by side and share nothing: Airflow's tests in their own
environment, and the suite itself in two processes, each with a Spark session of its own. What a
part printed stands together; the closing lines add up the tests of all parts.

    python tests/suite.py [--all]    --all: also what is marked slow
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
_SLOWEST = 20
_OUTCOMES = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Part:
    """A command; `in_background` runs beside those that follow it."""

    name: str
    command: tuple[str, ...]
    in_background: bool = False


@dataclass(frozen=True)
class Done:
    """A part that ended, with its exit code and the tests it ran."""

    name: str
    code: int
    seconds: float
    tests: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Case:
    """One test: its name, seconds, and whether it passed, failed or was skipped."""

    name: str
    seconds: float
    outcome: str


def parts(reports: Path, slow: bool) -> list[Part]:
    """Return what is run; pytest writes its results into the folder `reports`."""
    select = () if slow else ("-m", "not slow")
    together = ("-n", "2", "--no-loadscope-reorder")
    return [
        Part("lint", ("ruff", "check", ".")),
        Part("format", ("ruff", "format", "--check", ".")),
        Part("layers", ("lint-imports", "--no-logo")),
        Part("types", ("mypy",), in_background=True),
        Part(
            "DAGs",
            (
                str(ROOT / ".venv-airflow" / "bin" / "python"),
                *("-m", "pytest", "tests/dags", *select, f"--junitxml={reports / 'DAGs.xml'}"),
            ),
            in_background=True,
        ),
        Part("suite", ("pytest", *select, *together, f"--junitxml={reports / 'suite.xml'}")),
    ]


def run_part(part: Part, reports: Path, started: list[subprocess.Popen[bytes]]) -> Done:
    """Run a part to its end; what runs in the background prints when it has ended."""
    begin = time.monotonic()
    log = reports / f"{part.name}.log"
    with log.open("wb") as file:
        output = file if part.in_background else None
        process = subprocess.Popen(
            part.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=part.in_background,
        )
        started.append(process)
        code = process.wait()
    seconds = time.monotonic() - begin
    if part.in_background:
        print(f"\n== {part.name}\n{log.read_text(errors='replace')}", flush=True)
    report = reports / f"{part.name}.xml"
    tests = read_report(report.read_text()) if report.exists() else ()
    return Done(part.name, code, seconds, tests)


def read_report(xml: str) -> tuple[Case, ...]:
    """Return the tests of a JUnit report."""
    found = []
    for case in ElementTree.fromstring(xml).iter("testcase"):
        kinds = {child.tag for child in case}
        failed, skipped = kinds & {"failure", "error"}, "skipped" in kinds
        outcome = "failed" if failed else "skipped" if skipped else "passed"
        name = f"{case.get('classname')}::{case.get('name')}"
        found.append(Case(name, float(case.get("time") or 0), outcome))
    return tuple(found)


def summary(done: Sequence[Done], seconds: float, environ: Mapping[str, str]) -> str:
    """Return the slowest tests and files, the parts with their seconds, and the closing line."""
    tests = [test for part in done for test in part.tests]
    slowest = sorted(tests, key=lambda test: -test.seconds)[:_SLOWEST]
    lines = ["", "slowest tests", *(f"{one.seconds:8.1f} s  {one.name}" for one in slowest)]
    files: defaultdict[str, float] = defaultdict(float)
    for test in tests:
        files[test.name.partition("::")[0]] += test.seconds
    lines += ["", "slowest files"]
    by_time = sorted(files.items(), key=lambda one: -one[1])[:_SLOWEST]
    lines += [f"{took:8.1f} s  {name}" for name, took in by_time]
    lines += ["", "parts"]
    for part in done:
        count = f"{len(part.tests):6,} tests" if part.tests else ""
        state = "" if part.code == 0 else f"  FAILED (exit code {part.code})"
        lines.append(f"{part.seconds:8.1f} s  {part.name:8}{count}{state}")
    where = " on continuous integration" if environ.get("CI") else ""
    lines += [f"{seconds:8.1f} s  in all{where}", ""]
    counts = {name: sum(test.outcome == name for test in tests) for name in _OUTCOMES}
    # A part that failed without a failed test (lint, a crash) is a failure too.
    counts["failed"] += sum(
        bool(part.code) and not any(test.outcome == "failed" for test in part.tests)
        for part in done
    )
    lines.append(", ".join(f"{counts[name]} {name}" for name in _OUTCOMES))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts; return 0 where each one did."""
    parser = argparse.ArgumentParser(description="Run lint, types, layers and all tests.")
    parser.add_argument("--all", action="store_true", help="also what is marked slow")
    slow = parser.parse_args(arguments).all
    begin = time.monotonic()
    started: list[subprocess.Popen[bytes]] = []
    done: list[Done] = []
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-suite-") as folder,
        ThreadPoolExecutor() as pool,
    ):
        reports = Path(folder)
        waiting = []
        try:
            for part in parts(reports, slow):
                if part.in_background:
                    waiting.append(pool.submit(run_part, part, reports, started))
                else:
                    print(f"\n== {part.name}: {' '.join(part.command)}", flush=True)
                    done.append(run_part(part, reports, started))
            done += [one.result() for one in waiting]
        except BaseException:
            for process in started:
                if process.poll() is None:
                    stop(process)
            raise
    print(summary(done, time.monotonic() - begin, os.environ), flush=True)
    return int(any(part.code for part in done))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a part that still runs, with all that it started."""
    group = os.getpgid(process.pid)
    if group == os.getpgid(0):
        process.terminate()
    else:
        os.killpg(group, signal.SIGTERM)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
