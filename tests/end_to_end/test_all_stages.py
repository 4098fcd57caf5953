"""A slice of flights through all stages: what it leaves, told again, and done again."""

import datetime as dt
import io
import shutil
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from rich.console import Console

from pipelines.lake.catalog import LAYERS, Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.tables import PipelineTables
from pipelines.runner import open_run, run_stage
from pipelines.summary import gather, show
from tests.end_to_end.conftest import SCORED

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.end_to_end]

AUDIT = {"run_id"}


def content(spark, lake, table, version):
    frame = read_at(spark, lake, table, version)
    kept = [name for name in frame.columns if name not in AUDIT and not name.endswith("_at")]
    return sorted(map(repr, frame.select(*kept).collect()))


def test_every_stage_states_what_it_read_and_wrote(first_results):
    assert first_results["ingest"].counts["rows_in"] > 10_000
    assert first_results["train"].read
    for stage in ("ingest", "clean", "featurize", "normalize", "score", "monitor"):
        assert first_results[stage].written, stage
    score = first_results["score"]
    assert score.counts["inserted"] == score.counts["rows_in"] > 500


def test_the_story_leads_to_predictions_and_a_report_and_told_again_changes_nothing(
    whole, first_results
):
    summary = gather(whole.pipeline, whole.lake)
    rows = {fact.table: fact.num_rows for fact in summary.tables}
    # So many flights were due to leave on the one day that is scored.
    assert rows["predictions.flights_late"] == 894
    assert rows["bronze.schedules"] == rows["silver.flights"]
    assert set(summary.model.metrics) == set(summary.model.constant_metrics)
    assert Path(summary.report).name == f"{SCORED}.html"
    console = Console(file=io.StringIO(), width=160)
    show(summary, console)
    assert "constant guess" in console.file.getvalue()

    whole.tell()
    assert gather(whole.pipeline, whole.lake) == summary


def test_a_second_run_leaves_the_tables_of_data_as_they_were(spark, whole, first_results):
    lake, stages = whole.lake, ("ingest", "clean", "featurize", "normalize")
    made_of_history = first_results["normalize"].counts["rows_out"]
    # Told day by day, features end with the last one, and the training set with its first labels.
    whole.run("featurize")
    assert whole.run("normalize").counts["rows_out"] > made_of_history
    tables = {name for stage in stages for name in first_results[stage].written}
    before = {name: latest_version(spark, lake, name) for name in tables}
    results = {stage: whole.run(stage) for stage in stages}
    assert results["ingest"].counts["rows_in"] == 0
    for name, version in before.items():
        after = latest_version(spark, lake, name)
        if after != version:
            now, then = (content(spark, lake, name, one) for one in (after, version))
            assert now == then, name


def test_the_catalog_knows_every_table_of_the_lake_as_it_is(spark, whole, first_results):
    lake, known = whole.lake, {str(one): one for one in PipelineTables(whole.pipeline).every}
    root = Path(lake.root)
    folders = {one.name for one in root.iterdir() if not one.name.startswith("_")}
    assert folders == set(LAYERS)
    logs = [log for layer in LAYERS for log in (root / layer).glob("*/_delta_log")]
    found = {f"{log.parent.parent.name}.{log.parent.name}" for log in logs}
    assert found <= known.keys(), "a table that nothing would keep in order"
    assert {"gold.flights_training", "monitoring.runs", "predictions.flights_late"} <= found
    for name in sorted(found):
        table, rows = known[name], spark.read.format("delta").load(lake.path(name))
        detail = DeltaTable.forPath(spark, lake.path(name)).detail().head()
        by = tuple(column.rstrip("_") for column in detail["partitionColumns"])
        has_feed = detail["properties"].get("delta.enableChangeDataFeed") == "true"
        assert (by, has_feed) == (table.partition_by, table.has_change_feed), name
        if table.key:
            assert rows.select(*table.key).distinct().count() == rows.count(), name


def test_the_summary_shows_tables_model_predictions_and_report(whole, first_results):
    summary = gather(whole.pipeline, whole.lake)
    tables = {fact.table for fact in summary.tables}
    assert {"bronze.schedules", "silver.flights", "gold.flights_training"} <= tables
    assert summary.model is not None
    assert summary.model.metrics["roc_auc"] > 0.5
    assert summary.model.constant_metrics["log_loss"] > 0
    assert summary.predictions is not None
    assert summary.report is not None


def test_a_copy_of_the_lake_goes_on_with_nothing_of_the_one_it_was_made_of(
    spark, whole, first_results, tmp_path, monkeypatch
):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    original, copy = Path(whole.lake.root), Lake(str(tmp_path / "copy"))
    shutil.copytree(original, copy.root)
    away = original.rename(original.with_name("away"))
    pipeline = whole.pipeline.model_copy(update={"lake": copy.root})
    try:
        again = first_results["promote"].run_id
        promoted = run_stage("promote", open_run(pipeline, run_id=again, spark=spark))
        assert promoted.details["bundle"].startswith(copy.root), "also by what the run had noted"
        day = SCORED - dt.timedelta(days=1)
        scored = run_stage("score", open_run(pipeline, date=day, spark=spark))
        assert scored.counts["inserted"] > 500
        shown = gather(pipeline, copy).model
        assert shown is not None
        assert shown.bundle.startswith(copy.root)
        assert not original.exists(), "nothing was written where the copy came from"
    finally:
        away.rename(original)
    assert list(Path.cwd().iterdir()) == [], "nothing lands in the working folder"
