"""What holds for every model by name: the same on any number of ranks, again, and in a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.kinds import CLASSES, INPUTS, OPTIONS, rows_of_all_kinds, rows_with
from tests.training.memory import MemoryRows, settings, train

pytestmark = pytest.mark.tensorflow
MODELS = sorted(OPTIONS)


def train_one(folder: Path, model: str, **changes: Any):
    given: dict[str, Any] = {
        "model": model,
        "options": OPTIONS[model],
        "loss": "categorical_crossentropy",
        "classes": CLASSES,
        "class_weights": {1: 3.0},
        "batch_size": 16,
        "epochs": 3,
        "optimizer": {"learning_rate": 0.005},
    }
    chosen = settings(**{**given, **changes})
    rows = MemoryRows(chosen.batch_size, num_rows=72, make=rows_with(INPUTS[model]))
    return train(folder, chosen, rows, inputs=INPUTS[model])


def as_ranks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """From here on every step's rows are dealt out to `size` ranks, whose sums are added up."""
    import tensorflow as tf

    from pipelines.training.step import Stepper

    sums_of_parts = Stepper._sums_of_parts

    def of_all(self: Stepper, batch: Any, epoch: Any) -> list[Any]:
        shares = [
            tf.nest.map_structure(lambda array, first=first: array[first::size], batch)
            for first in range(size)
        ]
        each = [sums_of_parts(self, share, epoch) for share in shares]
        assert all(one.shape.is_fully_defined() for one in each[0]), "Horovod's sum asks for it"
        return [tf.add_n(sums) for sums in zip(*each, strict=True)]

    monkeypatch.setattr(Stepper, "_sums_of_parts", of_all)


def curves(trained: Any) -> list[float]:
    return [value for epoch in trained.history for value in (epoch["loss"], epoch["val_loss"])]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory):
    """One rank's training of a model, once for all tests."""
    done: dict[str, Any] = {}

    def trained(model: str) -> Any:
        if model not in done:
            done[model] = train_one(tmp_path_factory.mktemp(model), model)
        return done[model]

    return trained


@pytest.mark.parametrize(
    ("model", "size", "accumulate_steps"),
    [*[(model, 2, 3) for model in MODELS], *[(model, 4, 1) for model in MODELS], ("mlp", 3, 2)],
)
def test_several_ranks_that_accumulate_give_the_curves_of_one(
    tmp_path: Path,
    model: str,
    size: int,
    accumulate_steps: int,
    alone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = alone(model)
    as_ranks(monkeypatch, size)
    several = train_one(tmp_path, model, accumulate_steps=accumulate_steps)
    np.testing.assert_allclose(curves(several), curves(one), rtol=1e-5)
    assert curves(one)[-2] < curves(one)[0]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_training_twice_gives_the_same_weights_bit_for_bit(
    tmp_path: Path, model: str, alone
) -> None:
    again = train_one(tmp_path, model)
    for mine, other in zip(alone(model).weights, again.weights, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("model", MODELS)
def test_a_bundle_takes_inputs_by_name_and_gives_the_chance_of_each_class(
    tmp_path: Path, model: str, alone
) -> None:
    import keras

    (tmp_path / "model.keras").write_bytes(alone(model).model)
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    rows = rows_of_all_kinds(30, 5)
    columns = {f"x{i}": rows["numeric"][:, i] for i in (0, 1)}
    columns |= {f"c{i}": rows["category"][:, i] for i in (0, 1)}
    columns |= {one.name: rows[one.name] for one in INPUTS[model] if one.shape}
    assert set(loaded.input) == set(columns)
    found = loaded(columns).numpy()
    assert (found.shape, found.dtype) == ((30, CLASSES), np.float32)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert not [
        layer
        for layer in loaded.layers
        if layer.name.startswith(("dropout", "flip")) and type(layer).__name__ != "Identity"
    ]
    evaluated = alone(model).evaluation
    assert evaluated["num_rows"] == 200
    assert set(evaluated["metrics"]) == {
        "accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "log_loss",
    }
    assert np.sum(evaluated["confusion"]) == 200


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("model", ["cnn", "transformer"])
def test_mixed_precision_trains_and_leaves_a_model_in_float32(
    tmp_path: Path, model: str, precision: str, alone
) -> None:
    import keras

    trained = train_one(tmp_path, model, precision=precision, class_weights="balanced")
    assert np.isfinite(curves(trained)).all()
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert {weight.dtype.name for weight in trained.weights} <= {"float32", "uint32", "int64"}
    (tmp_path / "model.keras").write_bytes(trained.model)
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_statistics_of_batch_normalisation_are_averaged_over_ranks(tmp_path: Path) -> None:
    import keras

    from pipelines.training.loop import Loop

    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    mean, variance = model.non_trainable_variables

    class OfTwo:
        size = 2

        def sum_array(self, array: np.ndarray) -> np.ndarray:
            return array + np.array([1.0, 2.0, 3.0, 5.0])  # what the other rank gathered

    loop = Loop.__new__(Loop)
    loop.model, loop.collective = model, OfTwo()
    loop._average_statistics()
    np.testing.assert_allclose(mean, [0.5, 1.0])
    np.testing.assert_allclose(variance, [2.0, 3.0])


def test_batch_normalisation_trains(tmp_path: Path) -> None:
    trained = train_one(tmp_path, "cnn", options={**OPTIONS["cnn"], "norm": "batch"}, epochs=1)
    assert np.isfinite(curves(trained)).all()


@pytest.mark.parametrize(
    ("loss", "monitor", "better"),
    [
        ("categorical_crossentropy", "val_accuracy", max),
        ("huber", "val_mae", min),
        ("mae", "val_mse", min),
    ],
)
def test_early_stopping_keeps_the_best_epoch_by_any_monitor(
    tmp_path: Path, loss: str, monitor: str, better: Any
) -> None:
    trained = train_one(
        tmp_path,
        "mlp",
        loss=loss,
        classes=CLASSES if loss == "categorical_crossentropy" else None,
        class_weights=None,
        epochs=5,
        early_stopping={"monitor": monitor, "patience": 9},
    )
    values = [epoch[monitor] for epoch in trained.history]
    assert trained.best_epoch == 1 + values.index(better(values))
    of_classes = {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"}
    expected = of_classes if loss == "categorical_crossentropy" else {"mse", "mae", "r2"}
    assert set(trained.evaluation["metrics"]) == expected


def test_a_label_out_of_range_stops_at_its_step_with_its_value(tmp_path: Path) -> None:
    from pipelines.errors import TrainingError

    with pytest.raises(TrainingError, match=r"epoch 1, step 1 of 5.*go from 0 to 2.*from 0 to 1"):
        train_one(tmp_path, "mlp", classes=2, class_weights=None)
