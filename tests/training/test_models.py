from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.encoding.kind import ModelInput
from pipelines.errors import SettingsError, TrainingError
from tests.training.memory import INPUTS, some_rows

pytestmark = pytest.mark.tensorflow

OPTIONS = {
    "hidden": [8, 4],
    "dropout": 0.5,
    "embedding_dropout": 0.2,
    "layer_norm": True,
    "linear": True,
    "l2": 0.01,
}


def by_name(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    numeric = {f"x{i}": rows["numeric"][:, i] for i in range(rows["numeric"].shape[1])}
    category = {f"c{i}": rows["category"][:, i] for i in range(rows["category"].shape[1])}
    return {**numeric, **category}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:", "can't be imported: SyntaxError"),
        ("1 / 0", "can't be imported: ZeroDivisionError: division by zero"),
        ("network = 3", "names 3; expected a function"),
        (
            "import no_such_package_at_all",
            "No module named 'no_such_package_at_all'",
        ),
    ],
)
def test_what_is_wrong_with_a_users_module_is_told_as_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    from pipelines.training.models import model_function

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "users_wrong_module.py").write_text(text)
    try:
        with pytest.raises(SettingsError) as failed:
            model_function("users_wrong_module:network")
    finally:
        sys.modules.pop("users_wrong_module", None)
    assert said in str(failed.value)


def test_the_seed_alone_decides_the_initial_weights() -> None:
    from pipelines.training.models import build_model

    def weights(seed):
        return build_model("mlp", INPUTS, OPTIONS, seed).get_weights()

    assert all(np.array_equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))


@pytest.mark.parametrize("kind", ["numeric", "category"])
def test_a_model_may_have_inputs_of_one_kind_only(kind: str) -> None:
    from pipelines.training.models import build_model

    inputs = [one for one in INPUTS if one.kind == kind]
    model = build_model("mlp", inputs, OPTIONS)
    assert [tensor.name for tensor in model.inputs] == [kind]


def test_a_bundles_model_gives_the_trained_models_probabilities_by_name(tmp_path: Path) -> None:
    from pipelines.training.models import build_model
    from pipelines.training.models.inference import inference_model, model_bytes

    model = build_model("mlp", INPUTS, OPTIONS, seed=5)
    rows = some_rows(30, 4)
    logits = model({"numeric": rows["numeric"], "category": rows["category"]}).numpy()
    file = tmp_path / "model.keras"
    file.write_bytes(model_bytes(inference_model(model, INPUTS, "binary")))
    np.savez(tmp_path / "rows.npz", **by_name(rows))
    # In a process that has never heard of this package.
    script = (
        "import keras, numpy as np; rows = dict(np.load('rows.npz'));"
        "model = keras.saving.load_model('model.keras', compile=False);"
        "np.save('out.npy', model.predict(rows, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    found = np.load(tmp_path / "out.npy")
    assert found.shape == (30, 1)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_dropout_of_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    import tensorflow as tf

    from pipelines.training.models.layers import RowDropout, row_seeds

    layer = RowDropout(0.25, name="dropout_0")

    def masks(rows, epoch):
        with row_seeds(tf.constant(rows, tf.int64), 7, tf.constant(epoch)):
            return layer(tf.ones((len(rows), 33)), training=True).numpy()

    everything = masks(range(4000), 1)
    np.testing.assert_array_equal(masks(range(1, 4000, 3), 1), everything[1::3])
    assert set(np.unique(everything)) == {0.0, np.float32(1 / 0.75)}
    assert np.mean(everything == 0) == pytest.approx(0.25, abs=0.005)
    # Another epoch agrees only by chance: 0.75^2 + 0.25^2 of the time.
    assert np.mean(masks(range(4000), 2) == everything) == pytest.approx(0.625, abs=0.005)


def test_dropout_hands_its_input_on_outside_training() -> None:
    from pipelines.training.models.layers import RowDropout

    values = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(RowDropout(0.9)(values, training=False), values)


def test_dropout_in_a_training_loop_of_another_says_what_to_do() -> None:
    from pipelines.training.models.layers import RowDropout

    with pytest.raises(TrainingError, match=r"use keras\.layers\.Dropout"):
        RowDropout(0.5)(np.ones((3, 4), np.float32), training=True)


def test_an_unknown_option_is_named() -> None:
    from pipelines.training.models import check_model

    with pytest.raises(SettingsError, match=r"train\.options\.hiden"):
        check_model("mlp", {"hiden": [3]})


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    from pipelines.training.models import check_model

    with pytest.raises(SettingsError, match="Did you mean 'mlp'"):
        check_model("mpl", {})


def test_a_function_of_ones_own_is_a_model() -> None:
    from pipelines.training.models import build_model, check_model

    name = "tests.training.test_models:logistic"
    check_model(name, {"bias": False})
    model = build_model(name, INPUTS, {"bias": False})
    assert model.count_params() == 4
    with pytest.raises(SettingsError, match=r"train\.options\.bais.*Did you mean 'bias'"):
        check_model(name, {"bais": False})


def test_a_model_of_the_wrong_shape_is_refused() -> None:
    from pipelines.training.models import build_model

    with pytest.raises(TrainingError, match=r"shape \(None, 2\); expected \(None, 1\)"):
        build_model("tests.training.test_models:logistic", INPUTS, {"units": 2})


def test_an_embeddings_width_follows_its_cardinality() -> None:
    from pipelines.training.models.parts import embedding_width

    assert [embedding_width(n) for n in (2, 10, 100, 1000, 10_000)] == [2, 6, 21, 50, 50]


def test_a_category_without_cardinality_is_refused() -> None:
    from pipelines.training.models.inputs import ModelInputs

    with pytest.raises(TrainingError, match="'c' has no cardinality"):
        ModelInputs.of([ModelInput(name="c", dtype="int32", kind="category")])


def logistic(inputs, bias: bool = True, units: int = 1):
    import keras

    numeric = keras.Input((len(inputs.numeric),), name="numeric")
    return keras.Model({"numeric": numeric}, keras.layers.Dense(units, use_bias=bias)(numeric))
