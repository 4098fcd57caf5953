"""Feature rows become prediction rows through Spark's executors."""

import datetime as dt
import math

import pytest

from pipelines.errors import FeatureError
from pipelines.scoring.batch import Provenance, predict, prediction_rows

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow]
DAY = dt.date(2013, 12, 1)
CARRIED = ["flight_date", "flight"]
SCHEMA = "flight_date DATE, flight INT, distance DOUBLE, carrier STRING"


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_a_row_is_transformed_by_the_bundle_s_spec_and_scored_by_its_model(spark, bundle):
    rows = [(DAY, 1, 1500.0, "UA"), (DAY, 2, 1000.0, "never seen"), (DAY, 3, None, None)]
    features = spark.createDataFrame(rows, SCHEMA)
    scored = predict(features, bundle, CARRIED, num_rows=3, batch_size=2).collect()
    found = {row["flight"]: row["prediction"] for row in scored}
    # UA is 2, out of vocabulary 1, missing 0; distance is scaled to 1, 0 and (missing) 0
    assert found == pytest.approx({1: sigmoid(3), 2: sigmoid(1), 3: sigmoid(0)}, abs=1e-6)


def test_the_size_of_batches_does_not_change_predictions(spark, bundle):
    rows = [(DAY, number, 10.0 * number, "B6") for number in range(101)]
    features = spark.createDataFrame(rows, SCHEMA)
    small, large = (
        {row["flight"]: row["prediction"] for row in frame.collect()}
        for frame in (
            predict(features, bundle, CARRIED, 101, 7),
            predict(features, bundle, CARRIED, 101, 1000),
        )
    )
    assert small == pytest.approx(large, abs=1e-6)  # float32
    assert len(small) == 101


def test_a_features_table_without_a_column_of_the_model_is_refused(spark, bundle):
    features = spark.createDataFrame(
        [(DAY, 1, "UA")], "flight_date DATE, flight INT, carrier STRING"
    )
    with pytest.raises(FeatureError, match="'distance', which the table lacks"):
        predict(features, bundle, CARRIED, 1, 10)


def test_a_prediction_row_says_where_it_came_from(spark):
    scored = spark.createDataFrame(
        [(DAY, 1, 0.5), (DAY, 2, 0.49)], "flight_date DATE, flight INT, prediction DOUBLE"
    )
    at = dt.datetime(2013, 12, 2, 3, 4, 5)
    provenance = Provenance("flights_late", 3, 17, "run-9", at)
    rows = prediction_rows(scored, ["flight_date", "flight"], "flight_date", 0.5, provenance)
    first, second = (row.asDict() for row in rows.orderBy("flight").collect())
    assert first == {
        "flight_date": DAY,
        "flight": 1,
        "scoring_date": DAY,
        "prediction": 0.5,
        "predicted_class": 1,
        "probabilities": None,
        "model_name": "flights_late",
        "model_version": 3,
        "feature_table_version": 17,
        "run_id": "run-9",
        "scored_at": at,
    }
    assert second["predicted_class"] == 0


def test_a_number_s_prediction_has_no_class(spark):
    scored = spark.createDataFrame(
        [(DAY, 1, 42.0)], "flight_date DATE, flight INT, prediction DOUBLE"
    )
    provenance = Provenance("fares", 1, 1, "run", dt.datetime(2013, 12, 2))
    rows = prediction_rows(scored, ["flight"], "flight_date", 0.5, provenance, binary=False)
    row = rows.head()
    assert (row["prediction"], row["predicted_class"]) == (42.0, None)
