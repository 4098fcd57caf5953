"""`score` and `monitor` on real Delta tables, each run twice."""

import datetime as dt
from pathlib import Path

import pytest

from pipelines.erasure.erase import erase
from pipelines.errors import NoChampion, ScoringError
from pipelines.explore import Explorer
from pipelines.features.covered import add_covered
from pipelines.lake.changes import table_id
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import replace_slice
from pipelines.maintenance.pins import compared
from pipelines.maintenance.vacuum import vacuum_table
from pipelines.runner import run_stage
from tests.benchmarks.compare_with_boosted_trees import champion_and_rows
from tests.integration.conftest import FIRST, SCHEMA, SECOND, flight

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow]
PREDICTIONS = "predictions.flights_late"


def rows_of(spark, lake, table):
    frame = read_at(spark, lake, table, latest_version(spark, lake, table))
    return [row.asDict() for row in frame.orderBy(*frame.columns[:5]).collect()]


def test_scoring_a_day_twice_leaves_the_table_as_it_was(
    spark, lake, features, promoted, open_test_run
):
    once = run_stage("score", open_test_run(date=FIRST))
    assert once.counts == {"rows_in": 20, "inserted": 20, "unchanged": 0}
    before = rows_of(spark, lake, PREDICTIONS)
    again = run_stage("score", open_test_run(date=FIRST))
    assert again.counts == {"rows_in": 20, "inserted": 0, "unchanged": 20}
    assert again.written == once.written
    assert rows_of(spark, lake, PREDICTIONS) == before
    assert before[0]["feature_table_version"] == once.read["gold.flights"]


def test_a_retry_of_a_run_scores_the_version_that_the_run_resolved(
    spark, lake, features, promoted, open_test_run
):
    first = run_stage("score", open_test_run(date=FIRST, run_id="run-1"))
    replace_slice(features, lake, "gold.flights", "true", partition_by=["flight_date"])
    retried = run_stage("score", open_test_run(date=FIRST, run_id="run-1"))
    assert retried.read == first.read
    assert retried.counts["inserted"] == 0


def test_a_range_of_days_is_scored_at_once_and_only_what_is_missing(
    spark, lake, features, promoted, open_test_run
):
    run_stage("score", open_test_run(date=FIRST))
    both = run_stage("score", open_test_run(since=FIRST, date=SECOND))
    assert both.counts == {"rows_in": 30, "inserted": 10, "unchanged": 20}


def test_predictions_stay_as_they_are_when_the_features_of_their_day_are_made_again(
    spark, lake, features, promoted, open_test_run
):
    run_stage("score", open_test_run(date=FIRST))
    before = rows_of(spark, lake, PREDICTIONS)
    late = spark.createDataFrame([flight(FIRST, 99, 300.0, None)], SCHEMA)
    corrected = features.withColumn("distance", features["distance"] * 7).unionByName(late)
    replace_slice(corrected, lake, "gold.flights", "true", partition_by=["flight_date"])
    again = run_stage("score", open_test_run(date=FIRST))
    assert again.counts == {"rows_in": 21, "inserted": 1, "unchanged": 20}
    after = rows_of(spark, lake, PREDICTIONS)
    assert [row for row in after if row["flight"] != 99] == before


def test_where_the_key_comes_again_every_day_each_row_is_predicted_and_judged_once(
    spark, lake, features, promoted, open_test_run
):
    """Flights 1 to 10 are in the table on both days; the key names them alone."""
    settings = ["featurize.key=[carrier, flight]"]

    def run(stage, **days):
        return run_stage(stage, open_test_run(overrides=settings, **days))

    assert run("score", date=FIRST).counts["inserted"] == 20
    # A table of predictions of an older release, without the features' own date and labels' names.
    old = read_at(spark, lake, PREDICTIONS, latest_version(spark, lake, PREDICTIONS))
    replace_slice(
        old.drop("flight_date", "predicted_label"), lake, PREDICTIONS, "true", ["scoring_date"]
    )
    for inserted in (10, 0):
        again = run("score", since=FIRST, date=SECOND)
        assert again.counts == {"rows_in": 30, "inserted": inserted, "unchanged": 30 - inserted}
    found = run("monitor", date=SECOND)
    assert (found.counts["rows_in"], found.counts["labelled"]) == (30, 20)
    assert found.counts["drift_rows"] == found.counts["drift_binned"] == 2 * (20 + 30)

    opened = open_test_run(overrides=settings)
    seen = Explorer(opened.pipeline, lake, spark).predictions().orderBy("scoring_date", "flight")
    assert [(row["scoring_date"], row["flight"], row["is_late"]) for row in seen.collect()] == [
        *((FIRST, n, n % 2) for n in range(1, 21)),
        *((SECOND, n, None) for n in range(1, 11)),
    ]


def test_the_comparison_with_trees_reads_the_champion_s_rows_and_predictions(
    spark, lake, features, promoted, open_test_run
):
    split = (
        "{by: date, train: [2013-01-13, 2013-01-13], validation: [2013-01-14, 2013-01-14], "
        "test: [2013-01-15, 2013-01-16]}"
    )
    run = open_test_run(overrides=[f"normalize.split={split}"])
    rows, fitted, scored = champion_and_rows(run)
    assert (len(rows), len(scored), set(rows["_split"])) == (20, 20, {"test"}), "with a label"
    assert {"raw_distance", "raw_carrier"} <= set(rows.columns)
    assert set(scored.columns) == {"_row", "_label", "_day", "prediction"}
    assert scored["prediction"].between(0, 1).all()
    assert set(scored["_row"]) == set(rows["_row"])
    assert [feature.column for feature in fitted.features] == ["distance", "carrier"]


def test_the_threshold_a_model_was_judged_by_is_the_one_it_is_used_with(
    spark, lake, features, promoted, open_test_run
):
    notes = []
    settings = ["score.threshold=0.6"]
    done = run_stage("score", open_test_run(date=FIRST, overrides=settings, progress=notes.append))
    said = (
        "`score.threshold` is 0.6; the model of run hand-made was trained and judged with "
        "0.7, and says yes by that. Train again for 0.6 to take effect"
    )
    assert done.details["note"] == said
    assert {"event": "note", "text": said} in notes
    found = rows_of(spark, lake, PREDICTIONS)
    assert {row["predicted_class"] for row in found} == {0, 1}
    assert all(row["predicted_class"] == (row["prediction"] >= 0.7) for row in found)


def test_without_a_date_the_newest_day_is_scored(lake, features, promoted, open_test_run):
    assert run_stage("score", open_test_run()).date == str(SECOND)


def test_a_day_that_was_never_made_is_an_error_that_names_the_days_there_are(
    features, promoted, open_test_run
):
    with pytest.raises(ScoringError, match=r"no rows for 2013-02-01; .* made for 2013-01-15 to"):
        run_stage("score", open_test_run(date=dt.date(2013, 2, 1)))


def test_a_day_without_flights_is_scored_with_no_rows_and_a_warning(
    spark, lake, features, promoted, open_test_run
):
    third, notes = dt.date(2013, 1, 17), []
    add_covered(spark, lake, "flights", table_id(spark, lake, "gold.flights"), (SECOND, third))
    for _ in range(2):  # without a table of predictions, and with one
        empty = run_stage("score", open_test_run(date=third, progress=notes.append))
        assert empty.counts == {"rows_in": 0, "inserted": 0, "unchanged": 0}
        assert empty.details["note"].endswith(
            "has no rows for 2013-01-17 to 2013-01-17: nothing to score"
        )
        run_stage("score", open_test_run(date=FIRST))
    assert sum(note["event"] == "note" for note in notes) == 2
    both = run_stage("score", open_test_run(since=SECOND, date=third))
    assert both.counts["rows_in"] == 10
    assert run_stage("monitor", open_test_run(date=third)).counts["predictions"] == 30


def test_an_empty_features_table_can_t_be_scored(spark, lake, features, promoted, open_test_run):
    replace_slice(features.limit(0), lake, "gold.flights", "true", partition_by=["flight_date"])
    add_covered(spark, lake, "flights", table_id(spark, lake, "gold.flights"), (FIRST, SECOND))
    with pytest.raises(ScoringError, match="no rows for 2013-01-15; it is empty"):
        run_stage("score", open_test_run(date=FIRST))


def test_scoring_without_a_champion_says_what_to_run(features, open_test_run):
    with pytest.raises(NoChampion, match="tidemill promote"):
        run_stage("score", open_test_run(date=FIRST))


def test_monitoring_twice_leaves_the_same_rows_and_writes_the_report(
    spark, lake, features, promoted, open_test_run
):
    run_stage("score", open_test_run(since=FIRST, date=SECOND))
    once = run_stage("monitor", open_test_run(date=SECOND, run_id="monitor-1"))
    assert (once.counts["predictions"], once.counts["labelled"]) == (30, 20)
    tables = [f"monitoring.flights_late_{name}" for name in ("drift", "performance")]
    before = {table: rows_of(spark, lake, table) for table in tables}
    run_stage("monitor", open_test_run(date=SECOND, run_id="monitor-1"))
    assert {table: rows_of(spark, lake, table) for table in tables} == before
    days = {row["scoring_date"]: row for row in before[tables[1]]}
    assert (days[FIRST]["num_labelled"], days[SECOND]["num_labelled"]) == (20, 0)
    assert days[SECOND]["roc_auc"] is None
    with open(once.details["report"], encoding="utf-8") as file:  # noqa: PTH123
        assert "flights: report of 2013-01-16" in file.read()


def test_drift_is_measured_from_the_days_the_model_learned_not_from_todays_settings(
    spark, lake, features, promoted, open_test_run
):
    run_stage("score", open_test_run(date=FIRST))
    # The settings of the test overlay train on ten other days, of which the table has no row.
    run_stage("monitor", open_test_run(since=FIRST, date=FIRST))
    found = rows_of(spark, lake, "monitoring.flights_late_drift")
    assert {row["feature"]: row["severity"] for row in found} == {"distance": "ok", "carrier": "ok"}
    assert [row["psi"] for row in found] == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize("gone_by", ["vacuum", "erase"])
def test_without_the_rows_a_model_was_trained_on_drift_is_left_out_and_monitor_says_so(
    spark, lake, features, promoted, open_test_run, gone_by
):
    run_stage("score", open_test_run(date=FIRST))
    replace_slice(features, lake, "gold.flights", "true", partition_by=["flight_date"])
    if gone_by == "vacuum":
        # It spares what kept bundles name, and drift is measured as before.
        kept = vacuum_table(spark, lake, "gold.flights", compared(lake), 0)
        assert (kept.removed_files, set(kept.kept_for)) == (0, {"hand-made"})
        assert len(kept.missing_for) == 0
        before = run_stage("monitor", open_test_run(date=FIRST))
        assert "drift_left_out" not in before.details
        assert len(rows_of(spark, lake, "monitoring.flights_late_drift")) == 2
        assert vacuum_table(spark, lake, "gold.flights", [], 0).removed_files > 0
    else:
        assert erase(open_test_run(), ["flight=3"]).tables["gold.flights"].rows == 2
    notes = []
    after = run_stage("monitor", open_test_run(date=FIRST, progress=notes.append))
    said = (
        "drift is left out: rows of gold.flights@1 that the model of run hand-made was trained on "
        "were erased or vacuumed, so today's can't be compared with them. Train again "
        "(`tidemill normalize`, `train`, `promote`)"
    )
    assert after.details["drift_left_out"] == said
    assert after.details["retrain"][0] == said
    assert {"event": "note", "text": said} in notes
    assert said.replace("'", "&#39;") in Path(after.details["report"]).read_text(encoding="utf-8")
    assert after.counts["predictions"] == (20 if gone_by == "vacuum" else 19)
    assert rows_of(spark, lake, "monitoring.flights_late_drift") == []


def test_monitoring_days_without_predictions_is_an_error(features, promoted, open_test_run):
    run_stage("score", open_test_run(date=FIRST))
    with pytest.raises(ScoringError, match=r"no predictions for .* Run `tidemill score`"):
        run_stage("monitor", open_test_run(since=SECOND, date=SECOND))
