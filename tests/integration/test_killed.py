"""Stages that are killed after one of their writes, and run again.

A kill is an error right after the n-th write (a commit, or a file of progress), and no further one:
the lake is left as `kill -9` at that moment leaves it. `python -m tests.benchmarks.kill_anywhere`
kills whole drivers, at random moments.
"""

from __future__ import annotations

import datetime as dt
import shutil

import pytest

from pipelines.errors import LakeError
from pipelines.lake import files, merge, write
from pipelines.lake.catalog import Lake
from pipelines.landing import weather
from pipelines.runner import run_stage
from tests.lakes import content, differences, leave_unmade

pytestmark = pytest.mark.spark
BEFORE, UNTIL = dt.date(2013, 1, 7), dt.date(2013, 1, 9)
STAGES = ("ingest", "clean", "featurize", "normalize")
EVERY_TABLE = (
    *("bronze.observations", "bronze.observations_rejected", "bronze.observations_files"),
    *("silver.observations", "quarantine.observations", "monitoring.runs"),
    *("gold.temperatures", "gold.temperatures_training"),
)
SCORED_TABLES = (
    "predictions.flights_late",
    *(f"monitoring.flights_late_{subject}" for subject in ("quality", "drift", "performance")),
)
EVERY = pytest.mark.parametrize(
    "every",
    [
        pytest.param(False, id="one_write"),
        pytest.param(True, id="every_write", marks=pytest.mark.slow),
    ],
)


class Killed(Exception):
    """What no stage takes for its own. (One that is no Exception leaves a stream waiting.)"""


class Killer:
    """Counts a stage's writes, and ends it after one of them."""

    def __init__(self, monkeypatch):
        self.done, self.after = 0, None
        for module in (write, merge):
            monkeypatch.setattr(module, "commit", self.deadly(module.commit))
        monkeypatch.setattr(files, "write_bytes", self.deadly(files.write_bytes))

    def deadly(self, real):
        def write_it(*args, **more):
            if self.after is not None and self.done >= self.after:
                raise Killed  # threads of a dead process write nothing
            found = real(*args, **more)
            self.done += 1
            if self.done == self.after:
                raise Killed
            return found

        return write_it

    def run(self, call, after=None):
        """Run and count the writes; be killed after `after` of them."""
        self.done, self.after = 0, after
        try:
            call()
        except Exception as error:
            if after is None or not _is_killed(error):
                raise
        else:
            assert after is None, f"nothing was written after write {after}"
        self.after = None
        return self.done


def _is_killed(error):
    return error is not None and (
        isinstance(error, Killed) or _is_killed(error.__cause__ or error.__context__)
    )


@pytest.fixture
def killer(monkeypatch):
    return Killer(monkeypatch)


@pytest.fixture(scope="module")
def story(spark, project, tmp_path_factory):
    """The weather of a week, then of two days more with spoilt rows: each stage's lake before."""
    from pipelines.config.load import load_pipeline
    from pipelines.runner import open_run

    folder = tmp_path_factory.mktemp("killed")
    landing, lakes, num_writes = folder / "landing", {}, {}

    def run(stage, lake, run_id):
        pipeline = load_pipeline("weather", "test", [f"landing={landing}"], str(lake), project)
        return run_stage(stage, open_run(pipeline, spark=spark, run_id=run_id))

    # The lake is older than its tables: a driver was killed while it made each of them.
    leave_unmade(Lake(str(folder / "lake")), *EVERY_TABLE)
    weather.deliver(landing, BEFORE)
    for stage in STAGES[:3]:
        run(stage, folder / "lake", f"before-{stage}")
    weather.deliver(landing, UNTIL)
    (month,) = (landing / "weather").glob("*.csv")
    heading, *lines = month.read_text().splitlines()
    bad = [line.replace("EWR", "", 1) for line in lines[:3]]
    (landing / "weather" / "spoilt.csv").write_text("\n".join([heading, *bad, '1,"2', ""]))
    with pytest.MonkeyPatch.context() as patch:
        killer = Killer(patch)
        for stage in STAGES:
            lakes[stage] = folder / stage
            shutil.copytree(folder / "lake", lakes[stage])
            num_writes[stage] = killer.run(lambda stage=stage: run(stage, folder / "lake", "run"))
            lakes[f"after {stage}"] = content(folder / "lake")
    return run, lakes, num_writes


@EVERY
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_after_any_of_its_writes_ends_as_one_that_was_not(
    story, killer, stage, every, tmp_path
):
    run, lakes, num_writes = story
    expected, last = lakes[f"after {stage}"], num_writes[stage]
    assert last > 2
    for after in range(1, last) if every else [last // 2]:
        lake = tmp_path / f"{after}"
        shutil.copytree(lakes[stage], lake)
        killer.run(lambda lake=lake: run(stage, lake, "run"), after)
        run(stage, lake, "run")
        assert differences(expected, content(lake)) == [], f"killed after write {after}"


def test_tables_that_kills_left_unmade_are_made_by_the_same_commands(story, tmp_path):
    _, lakes, _ = story
    made = {path.parent for path in lakes["normalize"].parent.glob("lake/*/*/_delta_log")}
    assert {f"{path.parent.name}.{path.name}" for path in made} == {*EVERY_TABLE}
    assert all(any(path.glob("_delta_log/*.json")) for path in made)


def test_a_torn_note_of_ingest_is_told_with_a_way_on_that_reads_no_file_twice(story, tmp_path):
    run, lakes, _ = story
    shutil.copytree(lakes["clean"], tmp_path / "lake")
    note = tmp_path / "lake" / "_state" / "weather" / "ingest" / "observations.json"
    note.write_text(note.read_text()[:50])
    with pytest.raises(LakeError, match=r"observations\.json is torn: .* or delete it and run the"):
        run("ingest", tmp_path / "lake", "torn")
    note.unlink()
    run("ingest", tmp_path / "lake", "mended")
    found = content(tmp_path / "lake")
    assert ("torn", "ingest") in found["monitoring.runs"]
    assert found["bronze.observations"] == lakes["after ingest"]["bronze.observations"]


@pytest.mark.tensorflow
@EVERY
@pytest.mark.parametrize("stage", ["score", "monitor"])
def test_scoring_and_monitoring_killed_after_any_of_their_writes(
    lake,
    features,
    promoted,
    open_test_run,
    killer,
    stage,
    every,
    tmp_path,
):
    day = dt.date(2013, 1, 15)

    def run(name, place):
        run_stage(name, open_test_run(date=day, run_id="run", lake=place))

    if stage == "monitor":
        run("score", lake)
    leave_unmade(lake, *(SCORED_TABLES if stage == "score" else SCORED_TABLES[1:]))
    whole = Lake(str(tmp_path / "whole"))
    shutil.copytree(lake.root, whole.root)
    num_writes = killer.run(lambda: run(stage, whole))
    assert num_writes > 2
    for after in range(1, num_writes) if every else [num_writes // 2]:
        other = Lake(str(tmp_path / f"{after}"))
        shutil.copytree(lake.root, other.root)
        killer.run(lambda other=other: run(stage, other), after)
        run(stage, other)
        said = differences(content(tmp_path / "whole"), content(tmp_path / f"{after}"))
        assert said == [], f"killed after write {after}"
