"""From the trained model to the model of a bundle: inputs by name, probability out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.features.spec import ModelInput
from pipelines.training.models import ModelInputs

if TYPE_CHECKING:
    import keras


def inference_model(model: keras.Model, inputs: Iterable[ModelInput], loss: str) -> keras.Model:
    """Return a model from inputs by name, each (rows,), to (rows, 1).

    The output is a probability for `binary_crossentropy`, the value for `mse`. Our own layers act
    in training only and are left out, so that the model loads where this package is not.
    """
    import keras

    names = ModelInputs.of(inputs)
    by_name: dict[str, Any] = {}
    for name in names.order:
        dtype = "int32" if name in names.categories else "float32"
        by_name[name] = keras.Input((), name=name, dtype=dtype)
    arrays = {}
    for array, columns in (("numeric", names.numeric), ("category", tuple(names.categories))):
        if columns:
            arrays[array] = keras.ops.stack([by_name[name] for name in columns], axis=1)
    output = _without_dropout(model)(arrays)
    if loss == "binary_crossentropy":
        output = keras.layers.Activation("sigmoid", dtype="float32", name="probability")(output)
    return keras.Model(by_name, output, name=model.name)


def model_bytes(model: keras.Model) -> bytes:
    """Return the content of a `.keras` file with the model."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _without_dropout(model: keras.Model) -> keras.Model:
    import keras

    from pipelines.training.models.layers import RowDropout

    if not any(isinstance(layer, RowDropout) for layer in model.layers):
        return model

    def copy(layer: Any) -> Any:
        if isinstance(layer, RowDropout):
            return keras.layers.Identity(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    plain = keras.models.clone_model(model, clone_function=copy)
    plain.set_weights(model.get_weights())
    return plain
