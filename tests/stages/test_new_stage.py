"""A stage that is made up, one file and one entry: it runs, is recorded, scheduled and shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import LakeError
from pipelines.lineage.records import read_records
from pipelines.orchestration.describe import describe
from pipelines.runner import run_stage
from pipelines.stages.catalog import STAGES

ENTRY = """
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import DependsOn, Equation, InDag, Stage

STAGES.add(Stage(
    name="weigh", help="Weigh what silver holds.", reads="silver", writes="-", again="nothing",
    after=("clean",), depends_on=DependsOn(settings=("score.batch_size",)),
    equations=(Equation("rows_in", ("light", "heavy")),), dags=(InDag("score", is_dated=True),),
    module="weighing",
))
"""
FILE = """
from pipelines.run import Run, StageResult


def run(run: Run) -> StageResult:
    counts = {"rows_in": run.spark.range(5).count(), "light": 3, "heavy": run.date.day}
    return StageResult("weigh", run.pipeline.name, run.run_id, counts=counts)
"""


@pytest.fixture
def weigh(tmp_path, monkeypatch) -> Iterator[None]:
    (tmp_path / "weighing.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    exec(ENTRY, {})
    yield
    STAGES.remove("weigh")
    sys.modules.pop("weighing", None)


@pytest.mark.spark
def test_it_runs_and_is_recorded_and_its_numbers_must_add_up(weigh, open_test_run):
    import datetime as dt

    run = open_test_run(run_id="one", date=dt.date(2013, 1, 2))
    assert run_stage("weigh", run, once=True).counts == {"rows_in": 5, "light": 3, "heavy": 2}
    [record] = read_records(run.lake)
    assert (record.stage, record.run_id, record.status) == ("weigh", "one", "done")
    run_stage("weigh", run, once=True)
    assert len(read_records(run.lake)) == 1, "it was done before"
    others = open_test_run(run_id="one", date=run.date, overrides=["score.batch_size=7"])
    run_stage("weigh", others, once=True)
    assert len(read_records(run.lake)) == 2, "a setting that it depends on is another"
    with pytest.raises(LakeError, match=r"weigh of flights .* rows_in 5 = light 3 \+ heavy 3 does"):
        run_stage("weigh", open_test_run(date=dt.date(2013, 1, 3)))


def test_it_is_in_the_description_of_its_dag(weigh):
    dag = describe(load_pipeline("flights"))[2]
    assert [task.task_id for task in dag.tasks] == ["score", "weigh"]
    assert dag.description.endswith(": score, weigh")
    assert dag.tasks[1].arguments[:2] == ("weigh", "flights")
    assert "--date" in dag.tasks[1].arguments


def test_it_is_a_command_with_the_options_of_all_stages(project):
    def tidemill(*arguments: str) -> str:
        code = f"{ENTRY}\nfrom pipelines.cli import main\nmain()"
        done = [sys.executable, "-c", code, *arguments]
        return subprocess.run(done, capture_output=True, text=True, cwd=project, check=True).stdout

    assert "Weigh what silver holds." in tidemill("--help")
    assert "--run-id" in tidemill("weigh", "--help")
