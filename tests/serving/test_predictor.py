"""One answer: a predictor says what batch scoring says, for every kind of feature."""

import datetime as dt
import random
from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipelines.encoding.fit import fit
from pipelines.encoding.kinds import Feature
from pipelines.errors import PredictionError
from pipelines.registry.bundle import Bundle
from pipelines.scoring.batch import Provenance, predict, prediction_rows
from pipelines.serving.predictor import Predictor, said
from tests.encoding.pictures import encoded
from tests.encoding.test_agreement import FEATURES, SCHEMA, random_row

pytestmark = pytest.mark.tensorflow
AT = dt.datetime(2013, 12, 2)


def bundle_of(spec, folder, outputs=1, loss="binary_crossentropy"):
    """An untrained model over all inputs of a spec."""
    import keras

    keras.utils.set_random_seed(5)
    inputs = {one.name: keras.Input(one.shape, name=one.name, dtype=one.dtype) for one in
              spec.inputs}  # fmt: skip
    flat = [
        keras.layers.Flatten()(keras.ops.cast(keras.ops.expand_dims(one, -1), "float32"))
        for one in inputs.values()
    ]
    together = keras.layers.LayerNormalization()(keras.layers.Concatenate()(flat))
    activation = {"binary_crossentropy": "sigmoid", "mse": "linear"}.get(loss, "softmax")
    model = keras.Model(inputs, keras.layers.Dense(outputs, activation)(together))
    model.save(folder / "model.keras")
    manifest = {"format_version": 1, "run_id": "r", "tables": {}, "settings": {"loss": loss}}
    return Bundle(manifest, spec.to_json(), (folder / "model.keras").read_bytes())


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("binary", [[0.5], [0.49999], [1.0]]),
        ("classes", [[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]]),
        ("number", [[42.0], [-1.0]]),
    ],
)
def test_what_outputs_mean_is_the_same_with_and_without_spark(spark, task, outputs):
    day = dt.date(2013, 12, 1)
    scored = spark.createDataFrame(
        [(day, number, each) for number, each in enumerate(outputs)],
        "day DATE, id INT, _outputs ARRAY<DOUBLE>",
    )
    called = {"binary": ["on time", "late"], "classes": ["a", "b", "c"]}.get(task)
    rows = prediction_rows(scored, ["id"], "day", 0.5, Provenance("m", 1, 1, "r", AT), task, called)
    names = ("prediction", "predicted_class", "predicted_label", "probabilities")
    by_spark = [
        {name: row[name] for name in names if row[name] is not None}
        for row in rows.orderBy("id").collect()
    ]
    assert said(np.array(outputs), task, 0.5, called).rows() == by_spark


@pytest.mark.spark
def test_a_predictor_says_what_batch_scoring_says_for_every_kind(spark, tmp_path):
    dice = random.Random(11)
    rows = [random_row(dice, place) for place in range(400)]
    kinds = {
        **FEATURES,
        "scan": {"kind": "image", "column": "file", "height": 4, "width": 5, "channels": 1},
    }
    adapter = TypeAdapter(Feature)
    features = {name: adapter.validate_python(one) for name, one in kinds.items()}
    pictures = [bytearray(encoded(np.full((4, 5), place % 256))) for place in range(400)]
    rows = [(*row, picture) for row, picture in zip(rows, pictures, strict=True)]
    frame = spark.createDataFrame(rows, f"{SCHEMA}, file binary").coalesce(1)
    spec = fit(frame.limit(200), features, key=("id",), date="day", label=None)
    bundle = bundle_of(spec, tmp_path)
    scored = predict(frame, bundle, ["id"], len(rows), 64).collect()
    by_spark = {row["id"]: row["_outputs"][0] for row in scored}

    predictor = Predictor(bundle)
    table = [row.asDict() for row in frame.collect()]
    whole = predictor(table).prediction
    np.testing.assert_allclose(whole, [by_spark[row["id"]] for row in table], atol=1e-5)
    alone = [predictor([row]).prediction[0] for row in table[:5]]
    np.testing.assert_allclose(alone, whole[:5], atol=1e-5)
    assert predictor([]).rows() == []

    table[3]["file"] = b"no picture"
    with pytest.raises(PredictionError, match="row 3, the image `scan` is not decodable"):
        predictor(table)


def test_a_model_of_classes_gives_all_their_probabilities(spec, tmp_path):
    predictor = Predictor(bundle_of(spec, tmp_path, 3, "categorical_crossentropy"))
    (row,) = predictor({"distance": [1.0], "carrier": ["UA"]}).rows()
    assert sum(row["probabilities"]) == pytest.approx(1)
    assert row["probabilities"][row["predicted_class"]] == row["prediction"]


def test_the_threshold_decides_what_is_a_yes(bundle):
    row = [{"distance": 1000.0, "carrier": None}]  # sigmoid(0)
    assert Predictor(bundle)(row).rows() == [
        {"prediction": 0.5, "predicted_class": 1, "predicted_label": "1"}
    ]
    assert Predictor(bundle, 0.6)(row).predicted_class.tolist() == [0]


def test_predictions_speak_the_names_that_people_gave_to_classes(bundle):
    settings = {"settings": {"class_names": ["on time", "late"]}, "decision_threshold": 0.4}
    named = replace(bundle, manifest={**bundle.manifest, **settings})
    (row,) = Predictor(named)([{"distance": 1000.0, "carrier": None}]).rows()
    assert row == {"prediction": 0.5, "predicted_class": 1, "predicted_label": "late"}


def test_a_row_without_a_column_or_of_another_type_is_refused(bundle):
    predictor = Predictor(bundle)
    with pytest.raises(PredictionError, match="row 0: column 'carrier' is missing"):
        predictor([{"distance": 1.0}])
    with pytest.raises(PredictionError, match=r"row 1, column 'distance': '1\.0'"):
        predictor([{"distance": 1.0, "carrier": "UA"}, {"distance": "1.0", "carrier": "UA"}])
