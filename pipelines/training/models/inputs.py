"""What a model function is told of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.encoding.kind import ModelInput
from pipelines.errors import TrainingError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelInputs:
    """A model's inputs by kind, and how many values it gives a row.

    Numbers and categories are columns of the feed's two matrices, in this order; arrays,
    sequences and images each are an array of the feed by their own name.
    """

    numeric: tuple[str, ...]
    categories: Mapping[str, int]
    """Name to number of values (indices 0 .. cardinality - 1)."""
    order: tuple[str, ...]
    """All names, in the order of the feature spec."""
    arrays: tuple[ModelInput, ...] = ()
    """Floats (rows, length); masks of others are among them."""
    sequences: tuple[ModelInput, ...] = ()
    """Indices of categories (rows, length), 0 where padded or missing."""
    images: tuple[ModelInput, ...] = ()
    """Floats from 0 to 1, (rows, height, width, channels)."""
    outputs: int = 1
    """Units of the model's last layer: the number of classes, else 1."""

    @classmethod
    def of(cls, inputs: Iterable[ModelInput], outputs: int = 1) -> ModelInputs:
        """Sort a feature spec's inputs by kind."""
        inputs = list(inputs)
        for one in inputs:
            if one.kind in ("category", "sequence") and one.cardinality is None:
                raise TrainingError(f"the {one.kind} input '{one.name}' has no cardinality")
        return cls(
            numeric=tuple(one.name for one in inputs if one.kind == "numeric"),
            categories={one.name: one.cardinality or 0 for one in inputs if one.kind == "category"},
            order=tuple(one.name for one in inputs),
            arrays=tuple(one for one in inputs if one.kind == "array"),
            sequences=tuple(one for one in inputs if one.kind == "sequence"),
            images=tuple(one for one in inputs if one.kind == "image"),
            outputs=outputs,
        )

    @property
    def masks(self) -> frozenset[str]:
        """Names of the arrays that only say where another has values."""
        return frozenset(one.mask for one in self.arrays if one.mask)


def input_names(model: keras.Model) -> list[str]:
    """Return which of the feed's arrays a model takes."""
    return [tensor.name for tensor in model.inputs]
