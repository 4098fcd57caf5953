"""Kills drivers at random moments and at the making of things, runs again, compares the lakes.

    python -m tests.benchmarks.kill_anywhere --kills 30 --seed 1 [--stages clean score] [--makings]

A slice of the flights goes through all stages, undisturbed: a first delivery from an empty lake to
gold, then a second one through all stages. The lake before each step is kept. Then, step after
step: its lake is put back, the stage is started and its driver killed (`kill -9`, Python and JVM)
at a moment between 0 and the seconds that the undisturbed run took. With `--makings` it is killed
as well right when it makes something that its lake did not have: the log of each table, MLflow's
store, progress, and the records of the run. A new driver runs the same stage under the same run id,
and every table must equal that of the undisturbed run, in all columns but the audit ones; so must
progress, feature specs, registered models and weights. Prints a line a kill, and a closing line;
exits with 1 where something differs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.landing.flights import deliver
from pipelines.stages.catalog import STAGES as CATALOG
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


@dataclass(frozen=True)
class Step:
    """A stage on one of the deliveries: the first meets an empty lake."""

    delivery: str
    stage: str

    def __str__(self) -> str:
        return f"{self.delivery} {self.stage}"


STAGES = CATALOG.names
FIRST = [Step("first", stage) for stage in STAGES[:3]]
NEXT = [Step("next", stage) for stage in STAGES]


class Trial:
    """An undisturbed run, and kills to compare with it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.lake, self.landing = folder / "lake", folder / "landing"
        self.kept = folder / "kept"
        self.chosen = random.Random(seed)
        self.seconds: dict[Step, float] = {}
        self.expected: dict[Step, dict[str, Any]] = {}
        self.made: dict[Step, list[Path]] = {}
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

    def asked(self, step: Step) -> dict[str, Any]:
        """Return what a driver is told."""
        return {
            "stage": step.stage,
            "run_id": f"{step.delivery}-{step.stage}",
            "pipeline": "flights",
            "lake": str(self.lake),
            "overrides": [f"landing={self.landing}", *OVERRIDES],
            "date": DATES.get(step.stage),
        }

    def run(self, step: Step) -> float:
        """Run a stage; return its seconds."""
        answer = self.driver().run(**self.asked(step))
        if "error" in answer:
            raise RuntimeError(f"{step}: {answer['error']}")
        return float(answer["seconds"])

    def run_undisturbed(self) -> None:
        """Take a first delivery to gold and a second one through all stages; keep each lake."""
        self.lake.mkdir()
        deliver(self.landing, BEFORE)
        for step in FIRST:
            self._run_and_keep(step)
        deliver(self.landing, UNTIL)
        spoil(self.landing)
        for step in NEXT:
            self._run_and_keep(step)

    def _run_and_keep(self, step: Step) -> None:
        kept = self.kept / str(step)
        shutil.copytree(self.lake, kept / "lake")
        shutil.copytree(self.landing, kept / "landing")  # with the times of its files
        self.seconds[step] = self.run(step)
        self.expected[step] = content(self.lake)
        self.made[step] = made_since(kept / "lake", self.lake)
        say(f"{step}: {self.seconds[step]:.1f} s undisturbed, {len(self.made[step])} things made")

    def kill_after(self, step: Step) -> bool:
        """Kill a stage at a random moment, run it again, compare; tell whether all is the same."""
        after = self.chosen.uniform(0, self.seconds[step])
        self._put_back(step)
        self.driver().start(**self.asked(step))
        was_at_work = self.driver().killed_after(after)
        whether = "" if was_at_work else " (it had just ended)"
        return self._run_again(step, f"after {after:.1f} of {self.seconds[step]:.1f} s{whether}")

    def kill_at(self, step: Step, making: Path) -> bool:
        """Kill a stage as it makes a thing, run it again, compare; tell whether all is the same."""
        self._put_back(step)
        self.driver().start(**self.asked(step))
        was_there = self.driver().killed_when((self.lake / making).exists)
        whether = "" if was_there else " (which did not come)"
        return self._run_again(step, f"at the making of {making}{whether}")

    def _put_back(self, step: Step) -> None:
        for name, place in (("lake", self.lake), ("landing", self.landing)):
            shutil.rmtree(place)
            shutil.copytree(self.kept / str(step) / name, place)

    def _run_again(self, step: Step, killed: str) -> bool:
        self.drop_driver()
        try:
            seconds = self.run(step)
            differing = differences(self.expected[step], content(self.lake))
        except RuntimeError as error:
            seconds, differing = 0.0, [f"run again: {error}"]
            self.drop_driver()
        verdict = "the same" if not differing else "DIFFERS"
        say(f"{step!s:16s} killed {killed}, again in {seconds:.1f} s: {verdict}")
        for line in differing:
            say(f"      {line}")
        return not differing


def made_since(before: Path, after: Path) -> list[Path]:
    """Return what one lake has and an earlier one lacks: logs of tables, stores, notes."""
    patterns = ("*/*/_delta_log", "_mlflow", "_mlflow/*.db", "_runs/*/*", "_state/*/*/*")
    more = ("_checkpoints/*/*/*/metadata", "_training/*/*", "_training/*/*/bundle", "_reports/*")
    found = [path.relative_to(after) for one in (*patterns, *more) for path in after.glob(one)]
    return sorted(path for path in found if not (before / path).exists())


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
    parser.add_argument("--makings", action="store_true", help="kill at the making of all things")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), options.seed)
        try:
            trial.run_undisturbed()
            steps = [step for step in (*FIRST, *NEXT) if step.stage in options.stages]
            same = [trial.kill_after(steps[n % len(steps)]) for n in range(options.kills)]
            if options.makings:
                same += [trial.kill_at(step, one) for step in steps for one in trial.made[step]]
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
