"""Contributions add up on every row, for every built-in model and for models of the user's own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pipelines.encoding.kind import ModelInput
from pipelines.reasons.integrate import Integrator
from pipelines.reasons.pieces import ENOUGH
from pipelines.training.models import build_model
from pipelines.training.models.inference import inference_model
from tests.training.kinds import INPUTS, OPTIONS, rows_of_all_kinds

pytestmark = pytest.mark.tensorflow
TABULAR = [
    ModelInput(name="x", dtype="float32", kind="numeric"),
    ModelInput(name="y", dtype="float32", kind="numeric"),
    ModelInput(name="c", dtype="int32", kind="category", cardinality=4),
    ModelInput(name="d", dtype="int32", kind="category", cardinality=3),
]
BASE = {"x": 0.5, "y": 0.0, "c": 2, "d": 1}


def by_name(model: str, num_rows: int) -> dict[str, Any]:
    rows = rows_of_all_kinds(num_rows, 7)
    matrix = {"numeric": rows["numeric"], "category": rows["category"]}
    return {
        one.name: (
            matrix[one.kind][:, int(one.name[1])] if one.kind in matrix else rows[one.name]
        ).astype(one.dtype)
        for one in INPUTS[model]
    }


@pytest.mark.parametrize("model", sorted(OPTIONS))
def test_what_inputs_add_is_the_difference_to_the_baseline_on_every_row(model: str) -> None:
    keras.utils.set_random_seed(3)
    trained = build_model(model, INPUTS[model], OPTIONS[model], 1, 3, "float32")
    # Far from the start: biases, crosses and positions say something, some chances are near 1.
    random = np.random.default_rng(1)
    trained.set_weights(
        [1.5 * one + 0.1 * random.normal(size=one.shape) for one in trained.get_weights()]
    )
    whole = inference_model(trained, INPUTS[model], "classes")
    arrays = by_name(model, 40)
    base = {one.name: 1 if one.kind == "category" else 0 for one in INPUTS[model]}
    found = Integrator(whole, INPUTS[model], base)(arrays)
    says = whole(arrays, training=False).numpy()
    np.testing.assert_allclose(found.outputs, says.max(axis=1), atol=1e-5)
    assert np.abs(found.residual).max() <= ENOUGH + 1e-6
    assert found.adds_up.all()
    alone = Integrator(whole, INPUTS[model], base)({k: v[:3] for k, v in arrays.items()})
    np.testing.assert_allclose(alone.values, found.values[:3], atol=1e-5)


def tabular(num_rows: int) -> dict[str, Any]:
    random = np.random.default_rng(5)
    return {
        "x": random.normal(size=num_rows).astype("float32"),
        "y": random.normal(size=num_rows).astype("float32"),
        "c": random.integers(0, 4, num_rows).astype("int32"),
        "d": random.integers(0, 3, num_rows).astype("int32"),
    }


def entrances() -> dict[str, Any]:
    return {one.name: keras.Input((), name=one.name, dtype=one.dtype) for one in TABULAR}


def test_a_sum_is_explained_by_its_terms_and_a_product_of_categories_is_shared() -> None:
    made = entrances()
    table = keras.layers.Embedding(4, 1, name="table")
    cross = keras.layers.Embedding(12, 1, name="cross")
    total = (
        3.0 * made["x"]
        - made["y"]
        + keras.ops.reshape(table(made["c"]), (-1,))
        + keras.ops.reshape(cross(made["c"] * 3 + made["d"]), (-1,))
    )
    model = keras.Model(made, keras.ops.expand_dims(total, -1))
    random = np.random.default_rng(2)
    of_c, of_both = random.normal(size=(4, 1)), random.normal(size=(12, 1))
    table.set_weights([of_c])
    cross.set_weights([of_both])
    rows = tabular(30)
    found = Integrator(model, TABULAR, BASE)(rows)
    both = of_both[rows["c"] * 3 + rows["d"], 0] - of_both[2 * 3 + 1, 0]
    c_moved, d_moved = rows["c"] != 2, rows["d"] != 1
    count = np.maximum(1, c_moved.astype(int) + d_moved)
    expected = [
        3 * (rows["x"] - 0.5),
        -rows["y"],
        of_c[rows["c"], 0] - of_c[2, 0] + both * c_moved / count,
        both * d_moved / count,
    ]
    np.testing.assert_allclose(found.values, np.stack(expected, axis=1), atol=1e-4)


def test_where_no_gradient_leads_a_row_is_said_not_to_add_up() -> None:
    made = entrances()
    steps = keras.ops.cast(keras.ops.greater(made["x"], 0.0), "float32")
    model = keras.Model(made, keras.ops.expand_dims(steps + made["y"], -1))
    rows = tabular(30)
    found = Integrator(model, TABULAR, BASE)(rows)
    assert (found.adds_up == (rows["x"] > 0)).all(), "the baseline's x is 0.5"


def test_an_image_is_told_of_by_region() -> None:
    one = ModelInput(name="scan", dtype="float32", kind="image", shape=(8, 6, 1))
    made = keras.Input(one.shape, name="scan")
    weights = keras.ops.convert_to_tensor(np.arange(48.0).reshape(8, 6, 1) / 100)
    model = keras.Model({"scan": made}, keras.ops.sum(made * weights, axis=(1, 2)))
    scan = np.zeros((1, 8, 6, 1), np.float32)
    scan[0, 7, 5] = 1.0
    integrator = Integrator(model, [one], {"scan": 0})
    found = dict(zip(integrator.parts, integrator({"scan": scan}).values[0], strict=True))
    assert found.pop(("scan", "[4,4]")) == pytest.approx(0.47, abs=1e-5)
    assert set(found.values()) == {0.0}
