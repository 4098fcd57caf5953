"""From the trained model to the model of a bundle: inputs by name, probabilities out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import Task
from pipelines.encoding.kind import ModelInput
from pipelines.training.models.inputs import ModelInputs, input_names

if TYPE_CHECKING:
    import keras


def inference_model(model: keras.Model, inputs: Iterable[ModelInput], task: Task) -> keras.Model:
    """Return a model from inputs by name, each (rows, *shape), to (rows, outputs) in float32.

    The output is the probability of a yes, (rows, 1), those of all classes, (rows, classes), or the
    value, (rows, 1). Our own layers act in training only and are left out, so that the model loads
    where this package is not.
    """
    import keras

    inputs = list(inputs)
    sorted_ = ModelInputs.of(inputs)
    by_name = {one.name: keras.Input(one.shape, name=one.name, dtype=one.dtype) for one in inputs}
    taken = input_names(model)
    arrays = {name: by_name[name] for name in taken if name not in ("numeric", "category")}
    for array, columns in (("numeric", sorted_.numeric), ("category", tuple(sorted_.categories))):
        if array in taken:
            arrays[array] = keras.ops.stack([by_name[name] for name in columns], axis=1)
    output = _for_inference(model)(arrays)
    activation = {"binary": "sigmoid", "classes": "softmax", "number": "linear"}[task]
    name = "value" if task == "number" else "probability"
    output = keras.layers.Activation(activation, dtype="float32", name=name)(output)
    return keras.Model(by_name, output, name=model.name)


def model_bytes(model: keras.Model) -> bytes:
    """Return the content of a `.keras` file with the model."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _for_inference(model: keras.Model) -> keras.Model:
    """Return the model without layers that act in training only, computing in float32."""
    import keras

    from pipelines.training.models.layers import RowLayer

    is_mixed = any(layer.compute_dtype != layer.variable_dtype for layer in model.layers)
    if not is_mixed and not any(isinstance(layer, RowLayer) for layer in model.layers):
        return model

    def copy(layer: Any) -> Any:
        if isinstance(layer, RowLayer):
            return keras.layers.Identity(name=layer.name)
        return layer.__class__.from_config(_in_float32(layer.get_config()))

    plain = keras.models.clone_model(model, clone_function=copy)
    plain.set_weights(model.get_weights())
    return plain


def _in_float32(config: Any) -> Any:
    """Return a layer's settings with float32 in the place of mixed precision."""
    if isinstance(config, list):
        return [_in_float32(one) for one in config]
    if not isinstance(config, dict):
        return config
    if str(config.get("config", {}).get("name", "")).startswith("mixed_"):
        return "float32"
    return {name: _in_float32(value) for name, value in config.items()}
