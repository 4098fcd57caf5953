"""`score` keeps reasons beside predictions where they are asked for; older rows keep none."""

import pytest

from pipelines.lake.read import latest_version, read_at
from pipelines.runner import run_stage
from tests.integration.conftest import FIRST, SECOND

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow]
PREDICTIONS = "predictions.flights_late"


def test_reasons_come_in_the_same_commit_and_older_rows_stay_as_they_are(
    spark, lake, features, promoted, open_test_run
):
    run_stage("score", open_test_run(date=FIRST))
    asked = ["score.explain={top: 1}"]
    done = run_stage("score", open_test_run(date=SECOND, overrides=asked))
    again = run_stage("score", open_test_run(date=SECOND, overrides=asked))
    assert (done.counts["inserted"], again.counts["inserted"]) == (10, 0)
    assert again.written == done.written
    rows = read_at(spark, lake, PREDICTIONS, latest_version(spark, lake, PREDICTIONS)).collect()
    for row in rows:
        assert row["predicted_label"] == str(row["predicted_class"]), "nobody has named the classes"
        if row["scoring_date"] == FIRST:
            assert row["explanation"] is None
            continue
        (first,) = row["explanation"]
        assert first["column"] == "distance"
        total = first["contribution"] + row["explanation_rest"] + row["explanation_residual"]
        assert row["prediction"] == pytest.approx(row["explanation_base"] + total, abs=1e-6)
        assert abs(row["explanation_residual"]) <= 1e-3
