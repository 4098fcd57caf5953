"""`mlp`: embeddings of the categories beside the numbers, through dense layers, to one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.config.base import Settings

if TYPE_CHECKING:
    import keras

    from pipelines.training.models.inputs import ModelInputs


def embedding_width(cardinality: int) -> int:
    """Return the usual rule of thumb for the width of an embedding."""
    return int(min(50, max(1, round(1.6 * cardinality**0.56))))


class MlpOptions(Settings):
    """`train.options` of `mlp`."""

    hidden: tuple[int, ...] = (128, 64)
    """Units of the layers."""
    activation: str = "relu"
    """By its Keras name."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped after each layer, seeded by row."""
    embedding: int | dict[str, int] | None = None
    """Width of all embeddings, or of some by name; the others follow `embedding_width`."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    l2: float = Field(0.0, ge=0)
    """Penalty on kernels and embeddings."""
    layer_norm: bool = False
    """Normalises each layer's units before the activation."""
    linear: bool = False
    """Adds a linear part beside the layers: the numbers and one weight per category value."""


def mlp(inputs: ModelInputs, **options: Any) -> keras.Model:
    """Return the model; `options` are those of `MlpOptions`."""
    import keras

    from pipelines.training.models.layers import RowDropout

    chosen = MlpOptions(**options)
    penalty = keras.regularizers.L2(chosen.l2) if chosen.l2 else None
    arrays, parts, straight = {}, [], []
    if inputs.numeric:
        arrays["numeric"] = keras.Input((len(inputs.numeric),), name="numeric", dtype="float32")
        parts.append(arrays["numeric"])
        if chosen.linear:
            weights = keras.layers.Dense(inputs.outputs, use_bias=False, name="linear")
            straight.append(weights(arrays["numeric"]))
    if inputs.categories:
        array = keras.Input((len(inputs.categories),), name="category", dtype="int32")
        arrays["category"] = array
        embedded = []
        for place, (name, cardinality) in enumerate(inputs.categories.items()):
            index = array[:, place]
            width = _width(chosen.embedding, name, cardinality)
            layer = keras.layers.Embedding(
                cardinality, width, embeddings_regularizer=penalty, name=f"embedding_{name}"
            )
            embedded.append(layer(index))
            if chosen.linear:
                weight = keras.layers.Embedding(
                    cardinality,
                    inputs.outputs,
                    embeddings_initializer="zeros",
                    name=f"linear_{name}",
                )
                straight.append(weight(index))
        joined = _joined(embedded)
        if chosen.embedding_dropout:
            joined = RowDropout(chosen.embedding_dropout, name="embedding_dropout")(joined)
        parts.append(joined)
    value = _joined(parts)
    for place, units in enumerate(chosen.hidden):
        dense = keras.layers.Dense(units, kernel_regularizer=penalty, name=f"dense_{place}")
        value = dense(value)
        if chosen.layer_norm:
            value = keras.layers.LayerNormalization(name=f"norm_{place}")(value)
        value = keras.layers.Activation(chosen.activation, name=f"activation_{place}")(value)
        if chosen.dropout:
            value = RowDropout(chosen.dropout, name=f"dropout_{place}")(value)
    output = keras.layers.Dense(inputs.outputs, kernel_regularizer=penalty, name="output")(value)
    if chosen.linear:
        output = keras.layers.Add(name="deep_and_linear")([output, *straight])
    return keras.Model(arrays, output, name="mlp")


def _width(embedding: int | Mapping[str, int] | None, name: str, cardinality: int) -> int:
    if isinstance(embedding, int):
        return embedding
    return (embedding or {}).get(name) or embedding_width(cardinality)


def _joined(parts: list[Any]) -> Any:
    import keras

    return parts[0] if len(parts) == 1 else keras.layers.Concatenate()(parts)
