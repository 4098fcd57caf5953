"""Kills drivers at random moments, runs the same command again, compares the lakes.

    python -m tests.benchmarks.kill_anywhere --kills 30 --seed 1 [--stages clean score]

A slice of the flights goes through all stages once, undisturbed; the lake before each stage is
kept. Then, stage after stage: its lake is put back, the stage is started and its driver killed
(`kill -9`, Python and JVM) at a moment between 0 and the seconds that the undisturbed run took.
A new driver runs the same stage under the same run id, and every table must equal that of the
undisturbed run, in all columns but the audit ones; so must progress, feature specs, registered
models and weights. Prints a line a kill, and a closing line; exits with 1 where something differs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pipelines.landing.flights import deliver
from pipelines.runner import STAGES
from tests.drivers import Driver
from tests.lakes import content, differences

BEFORE, UNTIL = dt.date(2013, 1, 3), dt.date(2013, 1, 6)
SCORED = "2013-01-05"
OVERRIDES = (
    "normalize.split.train=[2013-01-01,2013-01-03]",
    "normalize.split.validation=[2013-01-04,2013-01-04]",
    "normalize.split.test=[2013-01-05,2013-01-05]",
    "train.ranks=1",
    "train.epochs=2",
)
DATES = {"score": SCORED, "monitor": SCORED}


class Trial:
    """An undisturbed run, and kills to compare with it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.lake, self.landing = folder / "lake", folder / "landing"
        self.kept = folder / "kept"
        self.chosen = random.Random(seed)
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, dict[str, Any]] = {}
        self._log = (folder / "drivers.log").open("wb")
        self._driver: Driver | None = None

    def driver(self) -> Driver:
        """Return a driver that waits for work."""
        if self._driver is None:
            self._driver = Driver(self._log).wait_until_ready()
        return self._driver

    def drop_driver(self) -> None:
        """Forget a driver that was killed."""
        if self._driver is not None:
            self._driver.end()
        self._driver = None

    def asked(self, stage: str, run_id: str) -> dict[str, Any]:
        """Return what a driver is told."""
        return {
            "stage": stage,
            "run_id": run_id,
            "pipeline": "flights",
            "lake": str(self.lake),
            "overrides": [f"landing={self.landing}", *OVERRIDES],
            "date": DATES.get(stage),
        }

    def run(self, stage: str, run_id: str) -> float:
        """Run a stage; return its seconds."""
        answer = self.driver().run(**self.asked(stage, run_id))
        if "error" in answer:
            raise RuntimeError(f"{stage}: {answer['error']}")
        return float(answer["seconds"])

    def run_undisturbed(self) -> None:
        """Take a first delivery to gold and a second one through all stages; keep each lake."""
        deliver(self.landing, BEFORE)
        for stage in STAGES[:3]:
            self.run(stage, f"before-{stage}")
        deliver(self.landing, UNTIL)
        spoil(self.landing)
        for stage in STAGES:
            shutil.copytree(self.lake, self.kept / stage)
            self.seconds[stage] = self.run(stage, f"run-{stage}")
            self.expected[stage] = content(self.lake)
            say(f"{stage}: {self.seconds[stage]:.1f} s undisturbed")

    def kill(self, number: int, stage: str) -> bool:
        """Kill a stage once, run it again, compare; tell whether all is the same."""
        shutil.rmtree(self.lake)
        shutil.copytree(self.kept / stage, self.lake)
        after = self.chosen.uniform(0, self.seconds[stage])
        self.driver().start(**self.asked(stage, f"run-{stage}"))
        was_at_work = self.driver().killed_after(after)
        self.drop_driver()
        try:
            seconds = self.run(stage, f"run-{stage}")
            differing = differences(self.expected[stage], content(self.lake))
        except RuntimeError as error:
            seconds, differing = 0.0, [f"run again: {error}"]
            self.drop_driver()
        verdict = "the same" if not differing else "DIFFERS"
        whether = "" if was_at_work else " (it had just ended)"
        say(
            f"{number:3d} {stage:10s} killed after {after:5.1f} of {self.seconds[stage]:5.1f} s"
            f"{whether}, again in {seconds:5.1f} s: {verdict}"
        )
        for line in differing:
            say(f"      {line}")
        return not differing


def spoil(landing: Path) -> None:
    """Deliver rows that end in quarantine, a malformed record, and a plane less."""
    flights = (landing / "schedules" / f"{UNTIL}.csv").read_text().splitlines()
    minute = flights[0].split(",").index("minute")
    bad = [line.split(",") for line in flights[1:6]]
    for line in bad:
        line[minute] = "77"
    lines = [flights[0], *(",".join(line) for line in bad), '1,2,"3', ""]
    (landing / "schedules" / "spoilt.csv").write_text("\n".join(lines))
    planes = (landing / "planes" / "planes.csv").read_text().splitlines()
    (landing / "planes" / "planes_2.csv").write_text("\n".join([*planes[:-1], ""]))


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main() -> int:
    """Kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), options.seed)
        try:
            trial.run_undisturbed()
            stages = [options.stages[n % len(options.stages)] for n in range(options.kills)]
            same = [trial.kill(number, stage) for number, stage in enumerate(stages, start=1)]
        finally:
            trial.drop_driver()
            shutil.copy(Path(folder) / "drivers.log", Path(tempfile.gettempdir()) / "drivers.log")
    minutes = (time.monotonic() - begun) / 60
    say(
        f"{len(same)} kills (seed {options.seed}), {sum(same)} times the same tables as an "
        f"undisturbed run, {len(same) - sum(same)} times not; {minutes:.0f} minutes"
    )
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
