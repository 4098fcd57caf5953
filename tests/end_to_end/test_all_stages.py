"""A slice of flights through all stages, twice."""

import pytest

from pipelines.lake.read import latest_version, read_at
from pipelines.summary import gather

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


def test_a_second_run_leaves_the_tables_of_data_as_they_were(spark, run_all, first_results):
    lake = run_all.lake
    tables = {
        name: version
        for stage in ("ingest", "clean", "featurize", "normalize")
        for name, version in first_results[stage].written.items()
    }
    before = {name: content(spark, lake, name, version) for name, version in tables.items()}
    results = run_all()
    assert results["ingest"].counts["rows_in"] == 0
    after = {name: latest_version(spark, lake, name) for name in tables}
    for name, version in after.items():
        assert content(spark, lake, name, version) == before[name], name


def test_the_summary_shows_tables_model_predictions_and_report(run_all, first_results):
    summary = gather(run_all.pipeline, run_all.lake)
    tables = {fact.table for fact in summary.tables}
    assert {"bronze.schedules", "silver.flights", "gold.flights_training"} <= tables
    assert summary.model is not None
    assert summary.model.metrics["roc_auc"] > 0.5
    assert summary.model.constant_metrics["log_loss"] > 0
    assert summary.predictions is not None
    assert summary.report is not None
