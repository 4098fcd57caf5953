import math
from pathlib import Path

import numpy as np
import pytest

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.cyclical import FittedCyclical
from pipelines.encoding.kinds.hashed import FittedHashed
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.to_keras import custom_objects, raw_dtypes, to_keras

pytestmark = pytest.mark.tensorflow

X = {"column": "x", "raw_type": "double"}
C = {"column": "c", "raw_type": "string"}
SPEC = FeatureSpec(
    key=("id",),
    date="day",
    features=(
        FittedNumeric(name="a", center=1.0, spread=2.0, missing=-9.0, missing_flag=True, **X),
        FittedNumeric(name="log", log1p=True, **X),
        FittedNumeric(name="zero", center=3.0, spread=0.0, **X),
        FittedCyclical(name="at", period=4, **X),
        FittedCategory(name="v", vocabulary=("UA", "Zürich"), **C),
        FittedHashed(name="h", buckets=7, **C),
        FittedCategory(name="n", column="n", raw_type="int", vocabulary=("-7", "12")),
        FittedCategory(name="b", column="b", raw_type="boolean", vocabulary=("true",)),
    ),
)
NAN = math.nan


def raw() -> dict:
    import tensorflow as tf

    return {
        "x": tf.constant([3.0, -5.0, NAN, math.inf], tf.float64),
        "c": tf.constant(["UA", "Zürich", "new", ""]),
        "n": tf.constant([12.0, -7.0, 0.0, NAN], tf.float64),
        "b": tf.constant([1.0, 0.0, NAN, 1.0], tf.float64),
    }


EXPECTED = {
    "a": [1.0, -3.0, -9.0, -9.0],
    "a_is_missing": [0.0, 0.0, 1.0, 1.0],
    "log": [math.log(4), 0.0, 0.0, 0.0],
    "zero": [0.0] * 4,
    "at_sin": [-1.0, -1.0, 0.0, 0.0],
    "at_cos": [0.0] * 4,
    "v": [2, 3, 1, 0],
    "n": [3, 2, 1, 0],
    "b": [2, 1, 0, 2],
}


def agrees(outputs: dict) -> None:
    for name, values in EXPECTED.items():
        np.testing.assert_allclose(np.asarray(outputs[name]), values, atol=1e-7, err_msg=name)
    assert np.asarray(outputs["h"])[3] == 0
    assert min(np.asarray(outputs["h"])[:3]) >= 1


def test_raw_tensors_become_model_inputs_of_their_types() -> None:
    model = to_keras(SPEC)

    outputs = model(raw())

    agrees(outputs)
    assert {name: value.dtype.name for name, value in outputs.items()} == {
        each.name: each.dtype for each in SPEC.inputs
    }
    assert raw_dtypes(SPEC) == {"x": "float64", "c": "string", "n": "float64", "b": "float64"}


def test_predicting_in_a_graph_gives_the_same() -> None:
    agrees(to_keras(SPEC).predict(raw(), verbose=0))


def test_a_saved_model_is_loaded_with_our_layer(tmp_path: Path) -> None:
    import keras

    to_keras(SPEC).save(tmp_path / "features.keras")
    loaded = keras.models.load_model(tmp_path / "features.keras", custom_objects=custom_objects())

    agrees(loaded(raw()))


def test_an_exported_model_needs_no_code_of_ours(tmp_path: Path) -> None:
    import tensorflow as tf

    to_keras(SPEC).export(tmp_path / "export", verbose=False)

    agrees(tf.saved_model.load(str(tmp_path / "export")).serve(raw()))


def test_a_lacking_raw_column_is_named() -> None:
    values = raw()
    del values["n"]

    with pytest.raises(Exception, match="n"):
        to_keras(SPEC)(values)
