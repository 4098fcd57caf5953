"""Feature rows become prediction rows through Spark's executors."""

import datetime as dt
import math

import numpy as np
import pytest
from pyspark.errors import PythonException

from pipelines.encoding.kinds.array import FittedArray
from pipelines.encoding.kinds.image import FittedImage
from pipelines.encoding.kinds.sequence import FittedSequence
from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import FeatureError
from pipelines.registry.bundle import Bundle
from pipelines.scoring.batch import Provenance, predict, prediction_rows
from tests.encoding.pictures import encoded

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
    found = {row["flight"]: row["_outputs"][0] for row in scored}
    # UA is 2, out of vocabulary 1, missing 0; distance is scaled to 1, 0 and (missing) 0
    assert found == pytest.approx({1: sigmoid(3), 2: sigmoid(1), 3: sigmoid(0)}, abs=1e-6)


def test_the_size_of_batches_does_not_change_predictions(spark, bundle):
    rows = [(DAY, number, 10.0 * number, "B6") for number in range(101)]
    features = spark.createDataFrame(rows, SCHEMA)
    small, large = (
        {row["flight"]: row["_outputs"][0] for row in frame.collect()}
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
        [(DAY, 1, [0.5]), (DAY, 2, [0.49])], "flight_date DATE, flight INT, _outputs ARRAY<DOUBLE>"
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
        "predicted_label": "1",
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
        [(DAY, 1, [42.0])], "flight_date DATE, flight INT, _outputs ARRAY<DOUBLE>"
    )
    provenance = Provenance("fares", 1, 1, "run", dt.datetime(2013, 12, 2))
    rows = prediction_rows(scored, ["flight"], "flight_date", 0.5, provenance, "number")
    row = rows.head()
    assert (row["prediction"], row["predicted_class"]) == (42.0, None)


def test_a_class_comes_with_its_probability_and_those_of_all(spark):
    outputs = [[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]]
    rows = [(DAY, number, each) for number, each in enumerate(outputs)]
    scored = spark.createDataFrame(rows, "flight_date DATE, flight INT, _outputs ARRAY<DOUBLE>")
    provenance = Provenance("digits", 1, 1, "run", dt.datetime(2013, 12, 2))
    rows = prediction_rows(scored, ["flight"], "flight_date", 0.5, provenance, "classes")
    found = [
        (row["predicted_class"], row["prediction"], row["probabilities"])
        for row in rows.orderBy("flight").collect()
    ]
    assert found == [(1, 0.7, outputs[0]), (0, 0.4, outputs[1])]


SHAPED = FeatureSpec(
    key=("flight",),
    date="flight_date",
    features=(
        FittedArray(name="xs", column="xs", raw_type="array<double>", length=2, spread=2.0),
        FittedSequence(
            name="ws", column="ws", raw_type="array<string>", length=3, vocabulary=("a",)
        ),
        FittedImage(name="file", column="file", raw_type="binary", height=4, width=5, channels=1),
    ),
)


def shaped_bundle(folder, factor: float) -> Bundle:
    """A model that gives `factor` times (sum of xs, sum of ws, mean of the image) for a row."""
    import keras

    inputs = {
        one.name: keras.Input(one.shape, name=one.name, dtype=one.dtype) for one in SHAPED.inputs
    }
    sums = [
        keras.ops.sum(inputs["xs"], axis=1, keepdims=True),
        keras.ops.cast(keras.ops.sum(inputs["ws"], axis=1, keepdims=True), "float32"),
        keras.ops.reshape(keras.ops.mean(inputs["file"], axis=(1, 2, 3)), (-1, 1)),
    ]
    output = keras.ops.concatenate(sums, axis=1) * factor
    keras.Model(inputs, output).save(folder / "model.keras")
    manifest = {"format_version": 1, "run_id": "hand-made", "tables": {}}
    return Bundle(manifest, SHAPED.to_json(), (folder / "model.keras").read_bytes())


def test_arrays_sequences_and_images_reach_the_model_as_in_training(spark, tmp_path):
    rows = [
        (DAY, 1, [2.0, 4.0, 9.0], ["a", "b"], encoded(np.full((4, 5), 255))),
        (DAY, 2, None, None, encoded(np.full((8, 8), 51))),
    ]
    schema = "flight_date DATE, flight INT, xs ARRAY<DOUBLE>, ws ARRAY<STRING>, file BINARY"
    features = spark.createDataFrame(rows, schema)
    # Two models of one run id, one after the other: the second is not taken for the first.
    for factor in (1.0, 10.0):
        model = shaped_bundle(tmp_path, factor)
        found = {row["flight"]: row["_outputs"] for row in
                 predict(features, model, CARRIED, 2, 1).collect()}  # fmt: skip
        assert found[1] == pytest.approx([3 * factor, 3 * factor, factor], abs=1e-5)
        assert found[2] == pytest.approx([0, 0, 0.2 * factor], abs=1e-5)
    bad = spark.createDataFrame([(DAY, 7, [], [], None)], schema)
    said = "'file' of the row flight_date=2013-12-01, flight=7 can't be decoded .0 bytes"
    with pytest.raises(PythonException, match=said):
        predict(bad, model, CARRIED, 1, 10).collect()
