"""What the built-in models share: their inputs as Keras sees them, embeddings, the last layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipelines.errors import SettingsError, nearest
from pipelines.settings import Settings
from pipelines.training.models.inputs import ModelInputs

if TYPE_CHECKING:
    from pipelines.encoding.kind import ModelInput

Initializer = Literal[
    "glorot_uniform", "glorot_normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal"
]
Activation = Literal[
    "relu", "gelu", "silu", "elu", "selu", "leaky_relu", "softplus", "tanh", "sigmoid", "linear"
]
Tensors = dict[str, Any]


class Options(Settings):
    """Options that all built-in models have."""

    hidden: tuple[int, ...] = (128, 64)
    """Units of the dense layers before the output."""
    activation: Activation = "relu"
    """Of these layers (and of convolutions), by its Keras name."""
    initializer: Initializer = "glorot_uniform"
    """Of the kernels: Glorot's, which is also called Xavier's, or He's."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of units dropped after each layer, seeded by row."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError where the options don't fit the inputs."""


class EmbeddingOptions(Options):
    """Options of models that choose the width of each embedding."""

    embedding: int | dict[str, int] | None = None
    """Width of all embeddings of categories, or of some by name; the others follow from the number
    of values: 1.6 x n^0.56, at most 50."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError where the options don't fit the inputs."""
        known = [*inputs.categories, *(one.name for one in inputs.sequences)]
        given = self.embedding if isinstance(self.embedding, dict) else {}
        for name in given:
            check_known("embedding", name, known)


def check_known(option: str, name: str, known: Collection[str]) -> None:
    """Raise SettingsError where an option names an input that there is not."""
    if name not in known:
        raise SettingsError(
            f"`train.options.{option}` names '{name}', which is none of the inputs it may name: "
            f"{', '.join(sorted(known)) or 'there are none'}.{nearest(name, sorted(known))}"
        )


def embedding_width(cardinality: int) -> int:
    """Return the usual rule of thumb for the width of an embedding."""
    return int(min(50, max(1, round(1.6 * cardinality**0.56))))


def width_of(options: EmbeddingOptions, name: str, cardinality: int) -> int:
    """Return the width of an embedding by name."""
    if isinstance(options.embedding, int):
        return options.embedding
    return (options.embedding or {}).get(name) or embedding_width(cardinality)


def kernel(options: Options) -> str:
    """Return the initialiser of kernels by its Keras name."""
    return options.initializer.replace("xavier", "glorot")


def entrances(inputs: ModelInputs) -> Tensors:
    """Return a Keras input for each of the feed's arrays."""
    import keras

    made = {}
    for name, columns in (("numeric", inputs.numeric), ("category", inputs.categories)):
        if columns:
            dtype = "float32" if name == "numeric" else "int32"
            made[name] = keras.Input((len(columns),), name=name, dtype=dtype)
    for one in (*inputs.arrays, *inputs.sequences, *inputs.images):
        made[one.name] = keras.Input(one.shape, name=one.name, dtype=one.dtype)
    return made


def joined(parts: list[Any], axis: int = -1) -> Any:
    """Return the parts beside each other."""
    import keras

    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(axis=axis)(parts)


def embedded_categories(
    inputs: ModelInputs, made: Tensors, width: Callable[[str, int], int], penalty: Any = None
) -> list[Any]:
    """Return (rows, width) for each category."""
    import keras

    found = []
    for place, (name, cardinality) in enumerate(inputs.categories.items()):
        layer = keras.layers.Embedding(
            cardinality,
            width(name, cardinality),
            embeddings_regularizer=penalty,
            name=f"embedding_{name}",
        )
        found.append(layer(made["category"][:, place]))
    return found


def embedded_sequence(one: ModelInput, made: Tensors, width: int) -> tuple[Any, Any]:
    """Return a sequence as (rows, length, width), and (rows, length) 1 where it has a value."""
    import keras

    table = keras.layers.Embedding(one.cardinality or 1, width, name=f"embedding_{one.name}")
    present = keras.ops.cast(keras.ops.not_equal(made[one.name], 0), "float32")
    return table(made[one.name]), present


def array_steps(one: ModelInput, made: Tensors) -> tuple[Any, Any]:
    """Return an array as (rows, length, 1 or 2), and (rows, length) 1 where it has a value.

    What stands where it has none is made 0. With a mask, the mask is the second value.
    """
    import keras

    ops = keras.ops
    if one.mask is None:
        return ops.expand_dims(made[one.name], -1), ops.ones_like(made[one.name])
    present = made[one.mask]
    value = ops.where(ops.greater(present, 0), made[one.name], 0.0)
    return ops.stack([value, present], axis=-1), present


def values(inputs: ModelInputs) -> list[ModelInput]:
    """Return the arrays that are no masks."""
    return [one for one in inputs.arrays if one.name not in inputs.masks]


def beside(
    inputs: ModelInputs, made: Tensors, options: EmbeddingOptions, without: Collection[str] = ()
) -> list[Any]:
    """Return all inputs as vectors (rows, units), but for the kinds in `without`.

    Numbers as they are, categories embedded, arrays and images flat, sequences as the mean of
    their values' embeddings.
    """
    import keras

    ops = keras.ops
    parts = []
    if inputs.numeric and "numeric" not in without:
        parts.append(made["numeric"])
    if "category" not in without:
        parts += embedded_categories(inputs, made, lambda name, n: width_of(options, name, n))
    if "array" not in without:
        for one in values(inputs):
            steps, _ = array_steps(one, made)
            parts.append(keras.layers.Flatten(name=f"flat_{one.name}")(steps))
    if "sequence" not in without:
        for one in inputs.sequences:
            width = width_of(options, one.name, one.cardinality or 1)
            parts.append(masked_mean(*embedded_sequence(one, made, width)))
    if "image" not in without:
        for one in inputs.images:
            parts.append(ops.reshape(made[one.name], (-1, flat_size(one))))
    return parts


def flat_size(one: ModelInput) -> int:
    """Return the number of values of a row."""
    size = 1
    for each in one.shape:
        size *= each
    return size


def masked_mean(steps: Any, present: Any) -> Any:
    """Return the mean (rows, units) of the steps (rows, length, units) that are present."""
    import keras

    ops = keras.ops
    weight = ops.expand_dims(ops.cast(present, steps.dtype), -1)
    return ops.sum(steps * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)


def head(
    value: Any, options: Options, outputs: int, penalty: Any = None, layer_norm: bool = False
) -> Any:
    """Return (rows, outputs) in float32 after the dense layers."""
    import keras

    from pipelines.training.models.layers import RowDropout

    for place, units in enumerate(options.hidden):
        value = keras.layers.Dense(
            units,
            kernel_initializer=kernel(options),
            kernel_regularizer=penalty,
            name=f"dense_{place}",
        )(value)
        if layer_norm:
            value = keras.layers.LayerNormalization(name=f"norm_{place}")(value)
        value = keras.layers.Activation(options.activation, name=f"activation_{place}")(value)
        if options.dropout:
            value = RowDropout(options.dropout, name=f"dropout_{place}")(value)
    last = keras.layers.Dense(
        outputs,
        kernel_initializer=kernel(options),
        kernel_regularizer=penalty,
        dtype="float32",
        name="output",
    )
    return last(value)


def by_length(inputs: ModelInputs) -> Mapping[int, list[ModelInput]]:
    """Return arrays and sequences by their length: those of one length go step by step."""
    found: dict[int, list[ModelInput]] = {}
    for one in (*values(inputs), *inputs.sequences):
        found.setdefault(one.shape[0], []).append(one)
    return found
