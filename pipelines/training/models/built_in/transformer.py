"""`transformer`: attention over tokens: the steps of sequences and arrays, and tabular columns.

Each number and each category is a token too, as in FT-Transformer (Gorishniy and others, 2021);
the first token is a learned one, and its last state is what the output is made from. Blocks
normalise before attention and dense layers. There is no dropout inside the attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.errors import SettingsError
from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import (
    Options,
    Tensors,
    array_steps,
    embedded_categories,
    embedded_sequence,
    entrances,
    head,
    joined,
    kernel,
    values,
)

if TYPE_CHECKING:
    import keras

    from pipelines.encoding.kind import ModelInput


class TransformerOptions(Options):
    """`train.options` of `transformer`. All embeddings are `width` wide."""

    hidden: tuple[int, ...] = ()
    """Units of dense layers between the last block and the output."""
    width: int = Field(32, ge=1)
    """Width of a token; `heads` divides it."""
    heads: int = Field(4, ge=1)
    """Heads of the attention."""
    blocks: int = Field(2, ge=1)
    """Blocks, one above another."""
    feed_forward: int = Field(4, ge=1)
    """Units of a block's dense layer, in widths of a token."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError for heads that don't divide the width, and for images."""
        if self.width % self.heads:
            raise SettingsError(
                f"`train.options.heads: {self.heads}` must divide `train.options.width: "
                f"{self.width}`"
            )
        if inputs.images:
            raise SettingsError(
                f"`train.model: transformer` can't look at images ({inputs.images[0].name}); take "
                "`cnn`, or leave the image out of `normalize.features`."
            )


def transformer(inputs: ModelInputs, **options: Any) -> keras.Model:
    """Return the model; `options` are those of `TransformerOptions`."""
    import keras

    chosen = TransformerOptions(**options)
    chosen.check(inputs)
    made = entrances(inputs)
    tokens, presences = [], []
    for token, present in _tokens(inputs, made, chosen):
        tokens.append(token)
        presences.append(present)
    value = joined(tokens, axis=1)
    mask = keras.ops.greater(joined(presences, axis=1), 0)[:, None, :]
    for place in range(chosen.blocks):
        value = _block(value, mask, place, chosen)
    value = keras.layers.LayerNormalization(name="norm_last")(value)[:, 0]
    return keras.Model(made, head(value, chosen, inputs.outputs), name="transformer")


def _tokens(inputs: ModelInputs, made: Tensors, chosen: TransformerOptions) -> list[Any]:
    """Return tokens (rows, n, width), the learned one first, and their presence (rows, n)."""
    import keras

    ops, width = keras.ops, chosen.width
    some = next(iter(made.values()))[:, :1]
    first = keras.layers.Embedding(1, width, name="first")(ops.zeros_like(some, dtype="int32"))
    found = [(first, ops.ones_like(some, dtype="float32"))]
    if inputs.numeric:
        layer = keras.layers.EinsumDense(
            "bn,nd->bnd",
            output_shape=(len(inputs.numeric), width),
            bias_axes="nd",
            kernel_initializer=kernel(chosen),
            name="numbers",
        )
        found.append((layer(made["numeric"]), ops.ones_like(made["numeric"])))
    if inputs.categories:
        embedded = embedded_categories(inputs, made, lambda _name, _size: width)
        ones = ops.ones_like(made["category"], dtype="float32")
        found.append((ops.stack(embedded, axis=1), ones))
    for one in inputs.sequences:
        token, present = embedded_sequence(one, made, width)
        found.append((token + _positions(one, made, width), present))
    for one in values(inputs):
        step, present = array_steps(one, made)
        layer = keras.layers.Dense(width, kernel_initializer=kernel(chosen), name=f"in_{one.name}")
        found.append((layer(step) + _positions(one, made, width), present))
    return found


def _positions(one: ModelInput, made: Tensors, width: int) -> Any:
    """Return (rows, length, width): a learned vector for each place."""
    import keras

    ops = keras.ops
    place = ops.cumsum(ops.ones_like(made[one.name], dtype="int32"), axis=1) - 1
    return keras.layers.Embedding(one.shape[0], width, name=f"positions_{one.name}")(place)


def _block(value: Any, mask: Any, place: int, chosen: TransformerOptions) -> Any:
    import keras

    from pipelines.training.models.layers import RowDropout

    def dropped(part: Any, name: str) -> Any:
        return RowDropout(chosen.dropout, name=f"{name}_{place}")(part) if chosen.dropout else part

    normed = keras.layers.LayerNormalization(name=f"norm_attention_{place}")(value)
    attention = keras.layers.MultiHeadAttention(
        chosen.heads,
        chosen.width // chosen.heads,
        kernel_initializer=kernel(chosen),
        name=f"attention_{place}",
    )
    value = value + dropped(attention(normed, normed, attention_mask=mask), "dropout_attention")
    normed = keras.layers.LayerNormalization(name=f"norm_dense_{place}")(value)
    wide = keras.layers.Dense(
        chosen.feed_forward * chosen.width,
        activation="gelu",
        kernel_initializer=kernel(chosen),
        name=f"wide_{place}",
    )(normed)
    narrow = keras.layers.Dense(
        chosen.width, kernel_initializer=kernel(chosen), name=f"narrow_{place}"
    )(dropped(wide, "dropout_wide"))
    return value + dropped(narrow, "dropout_narrow")
