"""`mlp`: all inputs beside each other as one vector, through dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import (
    EmbeddingOptions,
    beside,
    embedded_categories,
    entrances,
    head,
    joined,
    width_of,
)

if TYPE_CHECKING:
    import keras


class MlpOptions(EmbeddingOptions):
    """`train.options` of `mlp`."""

    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the embeddings' units dropped, seeded by row."""
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
    chosen.check(inputs)
    penalty = keras.regularizers.L2(chosen.l2) if chosen.l2 else None
    made = entrances(inputs)
    parts = [made["numeric"]] if inputs.numeric else []
    if inputs.categories:
        embedded = joined(
            embedded_categories(
                inputs, made, lambda name, size: width_of(chosen, name, size), penalty
            )
        )
        if chosen.embedding_dropout:
            embedded = RowDropout(chosen.embedding_dropout, name="embedding_dropout")(embedded)
        parts.append(embedded)
    parts += beside(inputs, made, chosen, without=("numeric", "category"))
    output = head(joined(parts), chosen, inputs.outputs, penalty, chosen.layer_norm)
    if chosen.linear:
        straight = linear_part(inputs, made)
        output = keras.layers.Add(dtype="float32", name="deep_and_linear")([output, *straight])
    return keras.Model(made, output, name="mlp")


def linear_part(inputs: ModelInputs, made: dict[str, Any]) -> list[Any]:
    """Return (rows, outputs) of the numbers, and of each category's value, which starts at 0."""
    import keras

    straight = []
    if inputs.numeric:
        weights = keras.layers.Dense(inputs.outputs, use_bias=False, dtype="float32", name="linear")
        straight.append(weights(made["numeric"]))
    for place, (name, cardinality) in enumerate(inputs.categories.items()):
        weight = keras.layers.Embedding(
            cardinality,
            inputs.outputs,
            embeddings_initializer="zeros",
            dtype="float32",
            name=f"linear_{name}",
        )
        straight.append(weight(made["category"][:, place]))
    return straight
