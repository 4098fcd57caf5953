"""`kind: category`: a text, number or truth looked up in a vocabulary."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.encoding import sql, tensors
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, RawTensors, Texts
from pipelines.encoding.raw import TEXT, Expected


class Category(FeatureSettings):
    """A category looked up in a fitted vocabulary; one int32 column.

    0 is missing (null or empty text), 1 is out of vocabulary, 2.. are the values by falling count
    in the training split, then by name.
    """

    expected: ClassVar[Expected] = TEXT

    kind: Literal["category"]
    column: str | None = None
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)

    def texts(self, column: str) -> Texts:
        """Ask for the most frequent values."""
        return Texts(sql.as_text(column), self.min_count, self.max_size, instead="`kind: hashed`")

    def fitted(self, found: Found) -> FittedCategory:
        """Take the vocabulary."""
        return FittedCategory(**found.base, vocabulary=found.vocabulary)


class FittedCategory(Fitted):
    """0 for missing (null or empty text), 1 for out of vocabulary, else 2 + place in it."""

    by_text: ClassVar[bool] = True
    drift: ClassVar = "category"

    kind: Literal["category"] = "category"
    vocabulary: tuple[str, ...]
    """By falling count in the training split, then by name."""

    def inputs(self) -> list[ModelInput]:
        """Return the index."""
        size = len(self.vocabulary) + 2
        return [ModelInput(name=self.name, dtype="int32", kind="category", cardinality=size)]

    def sql(self) -> list[str]:
        """Return the index."""
        return [sql.looked_up(sql.as_text(self.column), self.vocabulary)]

    def lookup(self) -> tuple[str, ...]:
        """Return the vocabulary."""
        return self.vocabulary

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the index."""
        text = tensors.as_text(raw.columns[self.column], self.raw_type)
        return {self.name: raw.tables[self.name].lookup(text)}
