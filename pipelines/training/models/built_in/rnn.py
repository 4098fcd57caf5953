"""`rnn`: LSTM or GRU over sequences and arrays, the other inputs beside their last state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipelines.errors import SettingsError
from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import (
    EmbeddingOptions,
    Tensors,
    array_steps,
    beside,
    by_length,
    embedded_sequence,
    entrances,
    head,
    joined,
    kernel,
    width_of,
)

if TYPE_CHECKING:
    import keras

    from pipelines.encoding.kind import ModelInput


class RnnOptions(EmbeddingOptions):
    """`train.options` of `rnn`. Sequences and arrays of one length go step by step together."""

    hidden: tuple[int, ...] = (64,)
    """Units of the dense layers before the output."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of the recurrent layers."""
    units: tuple[int, ...] = Field((64,), min_length=1)
    """Units of the recurrent layers, one above another."""
    bidirectional: bool = False
    """Reads each sequence backwards too, with as many units more."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError where there is nothing to go through step by step."""
        super().check(inputs)
        check_has_steps("rnn", inputs)


def check_has_steps(model: str, inputs: ModelInputs) -> None:
    """Raise SettingsError for inputs without a sequence or array, or with an image."""
    if inputs.images:
        raise SettingsError(
            f"`train.model: {model}` can't look at images ({inputs.images[0].name}); take `cnn`, "
            "or leave the image out of `normalize.features`."
        )
    if not inputs.arrays and not inputs.sequences:
        raise SettingsError(
            f"`train.model: {model}` needs a sequence or an array among the inputs, received "
            f"{', '.join(inputs.order)}. Add a feature of such a kind to `normalize.features`, or "
            "take another model (mlp)."
        )


def rnn(inputs: ModelInputs, **options: Any) -> keras.Model:
    """Return the model; `options` are those of `RnnOptions`."""
    import keras

    chosen = RnnOptions(**options)
    chosen.check(inputs)
    made = entrances(inputs)
    parts = [_last_state(group, made, chosen) for group in by_length(inputs).values()]
    parts += beside(inputs, made, chosen, without=("array", "sequence"))
    return keras.Model(made, head(joined(parts), chosen, inputs.outputs), name="rnn")


def _last_state(group: list[ModelInput], made: Tensors, chosen: RnnOptions) -> Any:
    import keras

    from pipelines.training.models.layers import RowDropout

    steps, presences = [], []
    for one in group:
        if one.kind == "sequence":
            width = width_of(chosen, one.name, one.cardinality or 1)
            step, present = embedded_sequence(one, made, width)
        else:
            step, present = array_steps(one, made)
        steps.append(step)
        presences.append(present)
    value, mask = joined(steps), _until_the_last(presences)
    length = group[0].shape[0]
    for place, units in enumerate(chosen.units):
        cell = keras.layers.LSTM if chosen.cell == "lstm" else keras.layers.GRU
        layer = cell(
            units,
            return_sequences=place + 1 < len(chosen.units),
            kernel_initializer=kernel(chosen),
            name=f"{chosen.cell}_{length}_{place}",
        )
        if chosen.bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"both_{length}_{place}")
        value = layer(value, mask=mask)
        if chosen.dropout:
            value = RowDropout(chosen.dropout, name=f"dropout_{length}_{place}")(value)
    return value


def _until_the_last(presences: list[Any]) -> Any:
    """Return the mask (rows, length) of steps up to the last with a value, and of the first.

    A step in between without a value is gone through: its embedding, or its mask, says so. With
    the first step there always is one, and the rest is padding on the right: what cuDNN can do.
    """
    import keras

    ops = keras.ops
    present = presences[0]
    for other in presences[1:]:
        present = ops.maximum(present, other)
    if present.shape[1] > 1:
        present = ops.concatenate([ops.ones_like(present[:, :1]), present[:, 1:]], axis=1)
    else:
        present = ops.ones_like(present)
    later = ops.flip(ops.cumsum(ops.flip(present, axis=1), axis=1), axis=1)
    return ops.greater(later, 0)
