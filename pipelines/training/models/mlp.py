"""`mlp`: embeddings of the categories beside the numbers, through dense layers, to one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from pipelines.training.models import ModelInputs


def embedding_width(cardinality: int) -> int:
    """Return the usual rule of thumb for the width of an embedding."""
    return int(min(50, max(1, round(1.6 * cardinality**0.56))))


def mlp(
    inputs: ModelInputs,
    hidden: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    activation: str = "relu",
    embedding: int | Mapping[str, int] | None = None,
    embedding_dropout: float = 0.0,
    l2: float = 0.0,
    layer_norm: bool = False,
    linear: bool = False,
) -> keras.Model:
    """Return the model.

    `embedding` is the width of all embeddings or of some by name (the others follow
    `embedding_width`); `l2` is the penalty on kernels and embeddings; `linear` adds a linear part
    beside the layers, fed by the numbers and one weight per category value.
    """
    import keras

    from pipelines.training.models.layers import RowDropout

    penalty = keras.regularizers.L2(l2) if l2 else None
    arrays, parts, straight = {}, [], []
    if inputs.numeric:
        arrays["numeric"] = keras.Input((len(inputs.numeric),), name="numeric", dtype="float32")
        parts.append(arrays["numeric"])
        if linear:
            straight.append(keras.layers.Dense(1, use_bias=False, name="linear")(arrays["numeric"]))
    if inputs.categories:
        array = keras.Input((len(inputs.categories),), name="category", dtype="int32")
        arrays["category"] = array
        embedded = []
        for place, (name, cardinality) in enumerate(inputs.categories.items()):
            index = array[:, place]
            width = _width(embedding, name, cardinality)
            layer = keras.layers.Embedding(
                cardinality, width, embeddings_regularizer=penalty, name=f"embedding_{name}"
            )
            embedded.append(layer(index))
            if linear:
                weight = keras.layers.Embedding(
                    cardinality, 1, embeddings_initializer="zeros", name=f"linear_{name}"
                )
                straight.append(weight(index))
        joined = _joined(embedded)
        if embedding_dropout:
            joined = RowDropout(embedding_dropout, name="embedding_dropout")(joined)
        parts.append(joined)
    value = _joined(parts)
    for place, units in enumerate(hidden):
        dense = keras.layers.Dense(units, kernel_regularizer=penalty, name=f"dense_{place}")
        value = dense(value)
        if layer_norm:
            value = keras.layers.LayerNormalization(name=f"norm_{place}")(value)
        value = keras.layers.Activation(activation, name=f"activation_{place}")(value)
        if dropout:
            value = RowDropout(dropout, name=f"dropout_{place}")(value)
    output = keras.layers.Dense(1, kernel_regularizer=penalty, name="output")(value)
    if linear:
        output = keras.layers.Add(name="deep_and_linear")([output, *straight])
    return keras.Model(arrays, output, name="mlp")


def _width(embedding: int | Mapping[str, int] | None, name: str, cardinality: int) -> int:
    if isinstance(embedding, int):
        return embedding
    return (embedding or {}).get(name) or embedding_width(cardinality)


def _joined(parts: list[Any]) -> Any:
    import keras

    return parts[0] if len(parts) == 1 else keras.layers.Concatenate()(parts)
