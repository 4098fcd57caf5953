"""The runs table, and the way back from predictions, on real tables."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import TableNotFound, UsageError
from pipelines.lake.delta_log import committed_by
from pipelines.lake.write import append_once
from pipelines.lineage.records import Hashes, RunRecord, keep, read_records
from pipelines.lineage.show import lineage_lines, origin_in, run_lines, runs_of
from pipelines.run import StageResult

pytestmark = pytest.mark.spark
HASHES = Hashes("a1b2", "c3" * 20)


def note(run, stage, minute, **more):
    at = dt.datetime(2013, 1, 5, 3, minute, tzinfo=dt.UTC)
    result = StageResult(stage, "flights", f"run{minute}", seconds=1.5, **more)
    record = RunRecord.of(run, result, at, HASHES)
    keep(run, record)
    return record


def test_records_come_back_as_they_were_kept(open_test_run) -> None:
    run = open_test_run(date=dt.date(2013, 1, 4))
    assert read_records(run.lake) == []
    first = note(
        run, "clean", 1, read={"bronze.a": 3}, written={"silver.a": 1}, counts={"rows_in": 9}
    )
    second = note(run, "score", 2, details={"model": "m", "metrics": {"f1": 0.5}})
    assert read_records(run.lake) == [first, second]
    assert (first.date, first.settings_hash) == ("2013-01-04", "a1b2")
    assert first.code_version.endswith("+c3c3c3c3c3c3")
    # The same attempt again, as after a lost answer: it is there once.
    keep(run, second)
    assert read_records(run.lake) == [first, second]


def test_from_a_table_to_its_landing_files(open_test_run, spark) -> None:
    run = open_test_run()
    ledger = spark.createDataFrame([("in/1.csv",), ("in/2.csv",), ("in/2.csv",)], "path string")
    files = append_once(ledger, run.lake, "bronze.a_files", "test", 1)
    note(run, "ingest", 1, written={"bronze.a": 1, "bronze.a_files": files})
    note(run, "clean", 2, read={"bronze.a": 1}, written={"silver.a": 0})
    _, origin = origin_in([run.lake], "silver.a", None)
    assert list(lineage_lines(run.lake, origin)) == [
        f"silver.a@0  <- clean, run {run.run_id}",
        f"  bronze.a@1  <- ingest, run {run.run_id}",
        "    2 landing files: in/1.csv .. in/2.csv",
    ]
    with pytest.raises(
        TableNotFound, match=r"wrote silver\.b; known tables.*Did you mean 'silver\.a'"
    ):
        origin_in([run.lake], "silver.b", None)


def test_other_pipelines_do_not_stand_in_the_way(
    open_test_run, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_test_run()
    note(run, "clean", 1, written={"silver.a": 0})

    def lineage(table: str, *more: str) -> str:
        result = CliRunner().invoke(app, ["lineage", table, *more])
        return result.stdout if result.exit_code == 0 else result.stderr

    # The overlay is weather's alone.
    there = ("--env", "transformer", "--lake", run.lake.root)
    assert f"silver.a@0  <- clean, run {run.run_id}" in lineage("silver.a", *there)
    said = lineage("silver.b", *there)
    assert "no run is recorded that wrote silver.b; known tables are silver.a" in said
    assert "Not looked at, as they can't be loaded with these options: digits, flights" in said
    assert "no environment 'nowhere'" in lineage("silver.a", "--env", "nowhere")

    # The lakes of the others lie in other tenants' places.
    (tmp_path / "conf").mkdir()
    for name, lake in (("digits", tmp_path / "theirs"), ("weather", Path(run.lake.root))):
        shutil.copytree(run.pipeline.root / "conf" / name, tmp_path / "conf" / name)
        file = tmp_path / "conf" / name / "pipeline.yml"
        file.write_text(re.sub("(?m)^lake: .*", f"lake: {lake}", file.read_text()))
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))
    monkeypatch.setenv("TIDEMILL_TENANT_ROOT", run.lake.root)
    assert "silver.a@0" in lineage("silver.a")
    assert "outside of this tenant's place" in lineage("silver.a", "--pipeline", "digits")


def test_a_version_belongs_to_the_run_that_committed_it(open_test_run, spark) -> None:
    run = open_test_run()
    lake = run.lake.signed("stopped")
    version = append_once(spark.range(1).toDF("id"), lake, "silver.a", "test", 1)
    assert committed_by(run.lake, "silver.a", version) == "stopped"
    assert committed_by(run.lake, "silver.a", version + 1) is None
    assert committed_by(run.lake, "silver.b", 0) is None
    note(run, "clean", 1, written={"silver.a": version})
    _, origin = origin_in([run.lake], "silver.a", None)
    assert list(lineage_lines(run.lake, origin)) == [
        f"silver.a@{version}  <- clean, run {run.run_id}, which found it as run stopped had left it"
    ]


def test_runs_are_shown_by_stage(open_test_run) -> None:
    run = open_test_run()
    note(run, "clean", 1, written={"silver.a": 1}, counts={"rows_in": 1234, "flights.rows_in": 1})
    note(run, "score", 2)
    lines = list(run_lines(runs_of(run.lake, "flights")))
    assert len(lines) == 3
    assert lines[1].endswith("rows_in=1,234 silver.a@1")
    assert [one.stage for one in runs_of(run.lake, "flights", "score")] == ["score"]
    with pytest.raises(UsageError, match=r"'scor'.*Did you mean 'score'"):
        runs_of(run.lake, "flights", "scor")
