"""`cnn`: convolutions over images (2D) and arrays (1D), the other inputs beside what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import (
    EmbeddingOptions,
    Tensors,
    array_steps,
    beside,
    entrances,
    head,
    joined,
    kernel,
    values,
)

if TYPE_CHECKING:
    import keras

    from pipelines.encoding.kind import ModelInput


class Augment(Settings):
    """Random changes of images in training, seeded by row; validation and bundle have none."""

    flip: bool = False
    """Turns every second image left to right."""
    shift: float = Field(0.0, ge=0, le=0.5)
    """Largest move up, down, left or right, as a share of height and width."""
    noise: float = Field(0.0, ge=0)
    """Standard deviation of what is added to each value (images are 0 to 1)."""


class CnnOptions(EmbeddingOptions):
    """`train.options` of `cnn`."""

    hidden: tuple[int, ...] = (64,)
    """Units of the dense layers before the output."""
    filters: tuple[int, ...] = Field((32, 64), min_length=1)
    """Filters of the convolutions, one after another."""
    kernel_size: int = Field(3, ge=1)
    """Width of their windows."""
    pool: int = Field(2, ge=1)
    """By how much a side shrinks after each convolution, as long as it is long enough; 1 for not
    at all."""
    pooling: Literal["average", "max", "flatten"] = "average"
    """What is kept of the last convolution's places."""
    norm: Literal["layer", "batch", "none"] = "layer"
    """Normalisation after each convolution. With `batch` results are equal at a fixed number of
    ranks only: each rank normalises by its own rows, and the moving statistics are averaged over
    the ranks."""
    augment: Augment = Augment()
    """Random changes of images in training."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError where there is nothing to convolve over."""
        super().check(inputs)
        if not inputs.arrays and not inputs.images:
            raise SettingsError(
                "`train.model: cnn` needs an image or an array among the inputs, received "
                f"{', '.join(inputs.order)}. Add a feature of such a kind to `normalize.features`, "
                "or take another model (mlp)."
            )


def cnn(inputs: ModelInputs, **options: Any) -> keras.Model:
    """Return the model; `options` are those of `CnnOptions`."""
    import keras

    chosen = CnnOptions(**options)
    chosen.check(inputs)
    made = entrances(inputs)
    parts = [_over_image(one, made, chosen) for one in inputs.images]
    parts += [_over_array(one, made, chosen) for one in values(inputs)]
    parts += beside(inputs, made, chosen, without=("array", "image"))
    return keras.Model(made, head(joined(parts), chosen, inputs.outputs), name="cnn")


def _over_image(one: ModelInput, made: Tensors, chosen: CnnOptions) -> Any:
    import keras

    value = _augmented(made[one.name], one.name, chosen.augment)
    for place, filters in enumerate(chosen.filters):
        layer = keras.layers.Conv2D(
            filters,
            chosen.kernel_size,
            padding="same",
            kernel_initializer=kernel(chosen),
            name=f"conv_{one.name}_{place}",
        )
        value = _finished(layer(value), f"{one.name}_{place}", chosen)
        if chosen.pool > 1 and min(value.shape[1:3]) >= chosen.pool:
            value = keras.layers.MaxPooling2D(chosen.pool)(value)
    if chosen.pooling == "flatten":
        return keras.layers.Flatten()(value)
    if chosen.pooling == "max":
        return keras.layers.GlobalMaxPooling2D()(value)
    return keras.layers.GlobalAveragePooling2D()(value)


def _augmented(value: Any, name: str, augment: Augment) -> Any:
    from pipelines.training.models.augment import RowFlip, RowNoise, RowShift

    if augment.flip:
        value = RowFlip(name=f"flip_{name}")(value)
    if augment.shift:
        value = RowShift(augment.shift, name=f"shift_{name}")(value)
    if augment.noise:
        value = RowNoise(augment.noise, name=f"noise_{name}")(value)
    return value


def _over_array(one: ModelInput, made: Tensors, chosen: CnnOptions) -> Any:
    """Return (rows, units). Places without a value stay 0 throughout and count in no pooling."""
    import keras

    ops = keras.ops
    value, present = array_steps(one, made)
    present = ops.expand_dims(present, -1)
    for place, filters in enumerate(chosen.filters):
        layer = keras.layers.Conv1D(
            filters,
            chosen.kernel_size,
            padding="same",
            kernel_initializer=kernel(chosen),
            name=f"conv_{one.name}_{place}",
        )
        value = _finished(layer(value), f"{one.name}_{place}", chosen)
        if chosen.pool > 1 and value.shape[1] >= chosen.pool:
            value = keras.layers.MaxPooling1D(chosen.pool, padding="same")(_low(value, present))
            present = keras.layers.MaxPooling1D(chosen.pool, padding="same")(present)
        value = value * ops.cast(present, value.dtype)
    if chosen.pooling == "flatten":
        return keras.layers.Flatten()(value)
    if chosen.pooling == "max":
        return ops.max(_low(value, present), axis=1) * ops.cast(
            ops.max(present, axis=1), value.dtype
        )
    present = ops.cast(present, value.dtype)
    return ops.sum(value, axis=1) / ops.maximum(ops.sum(present, axis=1), 1.0)


def _low(value: Any, present: Any) -> Any:
    """Return the value, and where nothing is present one below any maximum."""
    import keras

    return keras.ops.where(keras.ops.greater(present, 0), value, -6e4)


def _finished(value: Any, name: str, chosen: CnnOptions) -> Any:
    """Return a convolution's value normalised, activated and with dropout."""
    import keras

    from pipelines.training.models.layers import RowDropout

    if chosen.norm == "layer":
        value = keras.layers.LayerNormalization(name=f"norm_{name}")(value)
    elif chosen.norm == "batch":
        value = keras.layers.BatchNormalization(name=f"norm_{name}")(value)
    value = keras.layers.Activation(chosen.activation)(value)
    if chosen.dropout:
        value = RowDropout(chosen.dropout, name=f"dropout_{name}")(value)
    return value
