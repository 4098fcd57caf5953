"""`kind: array`: an array of numbers, scaled and padded."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from pipelines.encoding import sql, tensors
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, Numbers, RawTensors
from pipelines.encoding.raw import NUMBERS, Expected
from pipelines.encoding.statistics import needed_statistics, scaling


class NumericArray(FeatureSettings):
    """An array of numbers; one float32 list of `length` values a row.

    A longer array keeps its first or last values, a shorter one (null counts as empty) is padded
    with 0.0 at its end. Scaling takes one set of statistics, of all present values that are kept
    in the training split. A missing element (null or NaN) becomes the scaled `impute`.
    """

    expected: ClassVar[Expected] = NUMBERS

    kind: Literal["array"]
    column: str | None = None
    length: int = Field(ge=1)
    keep: Literal["first", "last"] = "first"
    scale: Literal["standard", "minmax", "none"] = "standard"
    """(x - mean) / std; (x - min) / (max - min); x."""
    impute: Literal["mean", "zero"] | Annotated[float, Field(allow_inf_nan=False)] = "mean"
    mask: bool = False
    """Adds the float32 list `<feature>_is_present`: 1.0 where a value was, else 0.0."""

    def numbers(self, column: str) -> Numbers:
        """Ask for what scaling and imputation need, of the elements that are kept."""
        value = sql.double("element")
        return Numbers(
            raw=value,
            value=value,
            needed=needed_statistics(self.scale, self.impute),
            elements=sql.kept(column, self.length, self.keep),
        )

    def fitted(self, found: Found) -> FittedArray:
        """Take center, spread and the value of a missing element from the statistics."""
        assert found.numbers is not None
        numbers = scaling(found.name, self.scale, self.impute, found.numbers)
        return FittedArray(
            **found.base,
            length=self.length,
            keep=self.keep,
            center=numbers.center,
            spread=numbers.spread,
            missing=numbers.missing,
            mask=self.mask,
        )


class FittedArray(Fitted):
    """`length` values (x - center) / spread; a missing element is `missing`, padding is 0.0.

    Missing is null, NaN or infinite. A `spread` of 0 makes every value 0.0.
    """

    kind: Literal["array"] = "array"
    length: int
    keep: Literal["first", "last"] = "first"
    center: float = 0.0
    spread: float = 1.0
    missing: float = 0.0
    """Value of a missing element, scaled already."""
    mask: bool = False

    def inputs(self) -> list[ModelInput]:
        """Return the values and, if asked for, their mask."""
        mask = f"{self.name}_is_present" if self.mask else None
        shape = (self.length,)
        found = [ModelInput(name=self.name, dtype="float32", kind="array", shape=shape, mask=mask)]
        if mask:
            found.append(ModelInput(name=mask, dtype="float32", kind="array", shape=shape))
        return found

    def sql(self) -> list[str]:
        """Return the values and, if asked for, their mask."""
        raw = sql.double(sql.ELEMENT)
        value = sql.as_float(raw, sql.scaled(raw, self.center, self.spread), self.missing)
        values = [value, sql.flag(sql.present(raw), then=1)][: 1 + self.mask]
        elements = sql.kept(self.column, self.length, self.keep)
        return [sql.padded(elements, self.length, one, "CAST(0 AS FLOAT)") for one in values]

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the values and, if asked for, their mask."""
        import tensorflow as tf

        column, size = raw.columns[self.column], raw.sizes[self.column]
        kept, is_there = tensors.kept(column, size, self.length, self.keep)
        zero = tf.constant(0.0, tf.float64)
        is_present = tf.math.is_finite(kept)
        x = (tf.where(is_present, kept, zero) - self.center) / (self.spread or 1.0)
        x = tf.where(is_present, x if self.spread else tf.zeros_like(x), self.missing)
        values = {self.name: tf.cast(tf.where(is_there, x, zero), tf.float32)}
        if self.mask:
            values[f"{self.name}_is_present"] = tf.cast(is_present & is_there, tf.float32)
        return values
