"""What a feature kind is: its settings, and the fitted form that computes its model inputs.

A kind is a module of `encoding/kinds/` with one subclass of each. Imports neither Spark nor
TensorFlow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pipelines.encoding.raw import Expected, element_type
from pipelines.encoding.statistics import ColumnStatistics
from pipelines.settings import Settings


class ModelInput(Settings):
    """One input of a model: a column of the training set, a key of the model's input dict."""

    name: str
    dtype: Literal["float32", "int32"]
    kind: Literal["numeric", "category", "array", "sequence", "image"]
    cardinality: int | None = None
    """Of a category or a sequence of them: indices are 0 .. cardinality - 1."""
    shape: tuple[int, ...] = ()
    """Of one row: () for numeric and category, (length,) for an array of floats and a sequence of
    indices (0 = padded or missing), (height, width, channels) for an image, 0 to 1."""
    mask: str | None = None
    """Of an array: name of the array input that is 1.0 where a value was, 0.0 where it was padded
    or missing."""


@dataclass(frozen=True)
class RawTensors:
    """The raw columns of some rows as `to_keras` takes them."""

    columns: Mapping[str, Any]
    """By name: float64 or string tensors, (rows,) or (rows, longest)."""
    sizes: Mapping[str, Any]
    """Of each array column the rows' lengths, (rows,)."""
    tables: Mapping[str, Any]
    """By the feature's name: the lookup table of its `lookup`."""


class Fitted(Settings):
    """A fitted feature. Equal values give equal model inputs, in Spark and in Keras.

    A subclass is a kind's fitted form. Its fields are what a bundle keeps, so they only grow: one
    that is added has a default under which old features are what they were.
    """

    by_text: ClassVar[bool] = False
    """Whether it looks its values up by their text: another type of number is then another one."""
    drift: ClassVar[Literal["number", "category"] | None] = None
    """As what monitoring bins its raw column; None where drift of it is not measured."""

    name: str
    column: str
    """Raw feature column."""
    raw_type: str
    """Spark's name of the raw column's type when it was fitted."""
    kind: str

    @property
    def is_array(self) -> bool:
        """Whether the raw column holds arrays."""
        return element_type(self.raw_type) is not None

    @abstractmethod
    def inputs(self) -> list[ModelInput]:
        """Return the model inputs that it becomes."""

    @abstractmethod
    def sql(self) -> list[str]:
        """Return a Spark SQL expression for each of its inputs, in their order.

        None may raise in ANSI mode or give null, whatever the raw value is: float for numeric
        inputs, int for categories, lists of these for arrays and sequences, bytes for images.
        """

    def lookup(self) -> tuple[str, ...] | None:
        """Return the vocabulary that `keras` finds as a table in `RawTensors.tables`."""
        return None

    @abstractmethod
    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return its inputs by name: tensors (rows, *shape), equal to what `sql` gives."""

    @classmethod
    def keras_together(cls, features: Sequence[Self], raw: RawTensors) -> dict[str, Any]:
        """Return the inputs of all features of the kind; one by one unless a kind knows better."""
        return {name: value for one in features for name, value in one.keras(raw).items()}


@dataclass(frozen=True)
class Numbers:
    """Numbers to be counted in the training split; infinite ones stop the fit."""

    raw: str
    """SQL expression of a double: of the column, or of `element`."""
    value: str | None = None
    """Of what is aggregated where `raw` is present; None where nothing is."""
    needed: frozenset[str] = frozenset()
    """Which of `moments`, `range`, `quartiles`."""
    elements: str | None = None
    """SQL expression of the array whose elements, each called `element`, these numbers are."""


@dataclass(frozen=True)
class Texts:
    """Texts whose most frequent ones in the training split become a vocabulary."""

    text: str
    """SQL expression of a string, null where missing: of the column, or of `element`."""
    min_count: int
    max_size: int | None
    instead: str
    """The setting that does without a vocabulary, for the message where it grows too large."""
    elements: str | None = None
    """As of `Numbers`."""


@dataclass(frozen=True)
class Found:
    """What the training split held of a feature."""

    name: str
    """The feature's."""
    column: str
    raw_type: str
    numbers: ColumnStatistics | None = None
    """Where `numbers` asked for a `value`."""
    vocabulary: tuple[str, ...] = ()
    """Where `texts` asked for one: by falling count, then by name."""

    @property
    def base(self) -> dict[str, str]:
        """The fields that all fitted forms share."""
        return {"name": self.name, "column": self.column, "raw_type": self.raw_type}


class FeatureSettings(Settings):
    """Settings of a feature under `normalize.features`; a subclass is a kind.

    `kind` is a Literal of one word there, by which the settings are told apart.
    """

    expected: ClassVar[Expected]
    """The raw types that it takes."""

    kind: str
    column: str | None = None
    """Raw feature column; the feature's own name by default."""

    def numbers(self, column: str) -> Numbers | None:  # noqa: ARG002
        """Return which numbers of the raw column to count in the training split."""
        return None

    def texts(self, column: str) -> Texts | None:  # noqa: ARG002
        """Return which texts of the raw column to count in the training split."""
        return None

    @abstractmethod
    def fitted(self, found: Found) -> Fitted:
        """Return the fitted form. Raises FeatureError where it can't be fitted."""
