"""`wide_and_deep`: a linear part with crosses of categories beside dense layers.

The linear part remembers single values and pairs of them; the layers generalise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.errors import SettingsError
from pipelines.training.models.built_in.mlp import linear_part
from pipelines.training.models.inputs import ModelInputs
from pipelines.training.models.parts import (
    EmbeddingOptions,
    beside,
    check_known,
    entrances,
    head,
    joined,
)

if TYPE_CHECKING:
    import keras


class WideAndDeepOptions(EmbeddingOptions):
    """`train.options` of `wide_and_deep`."""

    crosses: tuple[tuple[str, ...], ...] = ()
    """Categories whose values together have a weight of their own: `[[carrier, dest]]`."""
    cross_buckets: int = Field(10_000, ge=2)
    """Weights of a cross. With more combinations than that some share one."""

    def check(self, inputs: ModelInputs) -> None:
        """Raise SettingsError where a cross can't be made."""
        super().check(inputs)
        for cross in self.crosses:
            for name in cross:
                check_known("crosses", name, inputs.categories)
            largest = max((inputs.categories[name] for name in cross), default=0)
            if len(cross) < 2 or self.cross_buckets * largest >= 2**31:
                raise SettingsError(
                    f"`train.options.crosses` can't cross {list(cross)}: expected two categories "
                    f"or more, and {largest} values x {self.cross_buckets} `cross_buckets` to be "
                    "below 2^31"
                )


def wide_and_deep(inputs: ModelInputs, **options: Any) -> keras.Model:
    """Return the model; `options` are those of `WideAndDeepOptions`."""
    import keras

    chosen = WideAndDeepOptions(**options)
    chosen.check(inputs)
    made = entrances(inputs)
    deep = head(joined(beside(inputs, made, chosen)), chosen, inputs.outputs)
    wide = linear_part(inputs, made)
    for cross in chosen.crosses:
        weight = keras.layers.Embedding(
            chosen.cross_buckets,
            inputs.outputs,
            embeddings_initializer="zeros",
            dtype="float32",
            name="cross_" + "_".join(cross),
        )
        wide.append(weight(_bucket(inputs, made, cross, chosen.cross_buckets)))
    output = keras.layers.Add(dtype="float32", name="wide_and_deep")([deep, *wide])
    return keras.Model(made, output, name="wide_and_deep")


def _bucket(inputs: ModelInputs, made: dict[str, Any], cross: tuple[str, ...], buckets: int) -> Any:
    """Return the bucket (rows,) of a combination: its number among all of them, modulo buckets."""
    import keras

    order = list(inputs.categories)
    number = None
    for name in cross:
        index = made["category"][:, order.index(name)]
        if number is not None:
            index = keras.ops.mod(number, buckets) * inputs.categories[name] + index
        number = index
    return keras.ops.mod(number, buckets)
