"""`kind: sequence`: an array of categories, each looked up or hashed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.encoding import sql, tensors
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, RawTensors, Texts
from pipelines.encoding.raw import TEXTS, Expected, element_type


class Sequence(FeatureSettings):
    """An array of categories; one int32 list of `length` indices a row.

    A longer array keeps its first or last elements, a shorter one is padded with 0 at its end.
    Indices are those of `category`, from a vocabulary of the training split's kept elements: 0
    is missing, 1 out of vocabulary; with `buckets` they are those of `hashed`.
    """

    expected: ClassVar[Expected] = TEXTS

    kind: Literal["sequence"]
    column: str | None = None
    length: int = Field(ge=1)
    keep: Literal["first", "last"] = "first"
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)
    buckets: int | None = Field(None, ge=2)
    """Hash buckets, in place of a vocabulary."""

    @model_validator(mode="after")
    def _one_way(self) -> Sequence:
        if self.buckets is not None and (self.max_size is not None or self.min_count > 1):
            raise ValueError(
                "`buckets` hashes without a vocabulary; leave out `min_count` and `max_size`"
            )
        return self

    def texts(self, column: str) -> Texts | None:
        """Ask for the most frequent elements that are kept, unless they are hashed."""
        if self.buckets is not None:
            return None
        return Texts(
            sql.text("element"),
            self.min_count,
            self.max_size,
            instead="`buckets`",
            elements=sql.kept(column, self.length, self.keep),
        )

    def fitted(self, found: Found) -> FittedSequence:
        """Take the vocabulary, empty where elements are hashed."""
        return FittedSequence(
            **found.base,
            length=self.length,
            keep=self.keep,
            vocabulary=found.vocabulary,
            buckets=self.buckets,
        )


class FittedSequence(Fitted):
    """`length` indices, each as of a `FittedCategory` or, with `buckets`, a `FittedHashed`."""

    by_text: ClassVar[bool] = True

    kind: Literal["sequence"] = "sequence"
    length: int
    keep: Literal["first", "last"] = "first"
    vocabulary: tuple[str, ...] = ()
    buckets: int | None = None

    def inputs(self) -> list[ModelInput]:
        """Return the indices."""
        size = len(self.vocabulary) + 2 if self.buckets is None else self.buckets + 1
        return [
            ModelInput(
                name=self.name,
                dtype="int32",
                kind="sequence",
                cardinality=size,
                shape=(self.length,),
            )
        ]

    def sql(self) -> list[str]:
        """Return the indices."""
        text = sql.text(sql.ELEMENT)
        if self.buckets is None:
            index = sql.looked_up(text, self.vocabulary)
        else:
            index = sql.hashed(text, self.buckets)
        elements = sql.kept(self.column, self.length, self.keep)
        return [sql.padded(elements, self.length, index, str(sql.MISSING))]

    def lookup(self) -> tuple[str, ...] | None:
        """Return the vocabulary, None where elements are hashed."""
        return self.vocabulary if self.buckets is None else None

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the indices."""
        import tensorflow as tf

        column, size = raw.columns[self.column], raw.sizes[self.column]
        kept, is_there = tensors.kept(column, size, self.length, self.keep)
        text = tensors.as_text(kept, element_type(self.raw_type) or "")
        if self.buckets is None:
            index = raw.tables[self.name].lookup(text)
        else:
            index = tensors.hashed(text, self.buckets)
        return {self.name: tf.where(is_there, index, sql.MISSING)}
