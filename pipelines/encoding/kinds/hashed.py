"""`kind: hashed`: a category of many values, by the hash of its text."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.encoding import sql, tensors
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, RawTensors
from pipelines.encoding.raw import TEXT, Expected


class Hashed(FeatureSettings):
    """A category of many values: 1 + CRC32(UTF-8 bytes) mod `buckets`; 0 is missing. int32.

    An empty text is missing too.
    """

    expected: ClassVar[Expected] = TEXT

    kind: Literal["hashed"]
    column: str | None = None
    buckets: int = Field(ge=2)

    def fitted(self, found: Found) -> FittedHashed:
        """Take the settings as they are."""
        return FittedHashed(**found.base, buckets=self.buckets)


class FittedHashed(Fitted):
    """0 for missing (null or empty text), else 1 + CRC32(UTF-8 bytes) mod buckets."""

    by_text: ClassVar[bool] = True
    drift: ClassVar = "category"

    kind: Literal["hashed"] = "hashed"
    buckets: int

    def inputs(self) -> list[ModelInput]:
        """Return the index."""
        size = self.buckets + 1
        return [ModelInput(name=self.name, dtype="int32", kind="category", cardinality=size)]

    def sql(self) -> list[str]:
        """Return the index."""
        return [sql.hashed(sql.as_text(self.column), self.buckets)]

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the index."""
        text = tensors.as_text(raw.columns[self.column], self.raw_type)
        return {self.name: tensors.hashed(text, self.buckets)}
