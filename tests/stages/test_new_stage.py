"""The stage of docs/extend.md, a file and an entry: it runs, is recorded, scheduled and shown."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import LakeError
from pipelines.lake.write import append_once
from pipelines.lineage.records import read_records
from pipelines.orchestration.describe import describe
from pipelines.runner import run_stage
from pipelines.stages.catalog import STAGES
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
FILE, ENTRY = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADD = (
    ENTRY.replace("\nStage(", "\nfrom pipelines.stages.catalog import STAGES\nSTAGES.add(Stage(")
    + ")"
)


@pytest.fixture
def weigh(monkeypatch) -> Iterator[None]:
    """Have the page's stage among the others."""
    module = ModuleType("pipelines.stages.weigh")
    exec(FILE, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(ADD, {})
    yield
    STAGES.remove("weigh")


@pytest.fixture
def silver(monkeypatch, open_test_run):
    """A function that opens a run of a pipeline whose lake holds two rows of a silver table."""

    def open_it(**more):
        run = open_test_run("weather", env=None, **more)
        rows = run.spark.range(2).selectExpr("id", "current_timestamp() AS _updated_at")
        append_once(rows, run.lake, run.tables.silver("observations"), "test", 0)
        return run

    return open_it


@pytest.mark.spark
def test_it_runs_and_is_recorded_and_done_again_where_what_it_depends_on_changed(weigh, silver):
    run = silver(run_id="one")
    done = run_stage("weigh", run, once=True)
    assert done.counts == {"rows_in": 2, "recent": 2, "older": 0}
    [record] = read_records(run.lake)
    assert (record.stage, record.status, record.read) == ("weigh", "done", done.read)
    run_stage("weigh", run, once=True)
    assert len(read_records(run.lake)) == 1, "it was done before"
    run_stage("weigh", silver(run_id="one", overrides=["monitor.window_days=9"]), once=True)
    assert len(read_records(run.lake)) == 2


@pytest.mark.spark
def test_its_numbers_must_add_up(weigh, silver, monkeypatch):
    module = sys.modules["pipelines.stages.weigh"]
    lost = {"rows_in": 3, "recent": 2, "older": 0}
    run = module.run
    monkeypatch.setattr(module, "run", lambda one: replace(run(one), counts=lost))
    with pytest.raises(LakeError, match=r"weigh of weather .* 3 = recent 2 \+ older 0 does not"):
        run_stage("weigh", silver())


def test_it_is_in_the_description_of_its_dag(weigh):
    dag = describe(load_pipeline("flights"))[3]
    assert [task.task_id for task in dag.tasks] == ["monitor", "weigh"]
    assert dag.description.endswith(": monitor, weigh")
    assert dag.tasks[1].arguments[:2] == ("weigh", "flights")
    assert "--date" in dag.tasks[1].arguments


def test_it_is_a_command_with_the_options_of_all_stages(project):
    def tidemill(*arguments: str) -> str:
        code = f"{ADD}\nfrom pipelines.cli import main\nmain()"
        done = [sys.executable, "-c", code, *arguments]
        return subprocess.run(done, capture_output=True, text=True, cwd=project, check=True).stdout

    assert "Weigh what silver holds." in tidemill("--help")
    assert "--run-id" in tidemill("weigh", "--help")
