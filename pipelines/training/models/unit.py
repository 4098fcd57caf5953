"""A model that learns standard deviations from the mean, and says a number in the label's unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def in_unit(model: keras.Model, mean: float, deviation: float) -> keras.Model:
    """Return the model with `output * deviation + mean` behind it, both fixed.

    What the loss sees is in the label's unit. An optimizer that goes by each gradient's own size,
    as Adam does, moves the weights as if the label were scaled. A deviation of 0 counts as 1.
    """
    import keras

    layer = keras.layers.Rescaling(
        scale=deviation or 1.0, offset=mean, dtype="float32", name="label_unit"
    )
    return keras.Model(model.input, layer(model.output), name=model.name)
