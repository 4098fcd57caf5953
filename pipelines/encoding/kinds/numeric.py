"""`kind: numeric`: a number, scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from pipelines.encoding import sql
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, Numbers, RawTensors
from pipelines.encoding.raw import NUMBER, Expected
from pipelines.encoding.statistics import needed_statistics, scaling


class Numeric(FeatureSettings):
    """A number: optional log1p, imputation, then scaling; one float32 column.

    Order: log1p(max(x, 0)) if `log1p`; missing -> the fitted `impute` statistic (of the log1p
    values); scaling with statistics of the training split's present values. A spread of zero
    scales to 0.0. An all-null column becomes 0.0 with its missing flag set.
    Missing is null or NaN; infinity stops the fit, and counts as missing afterwards.
    """

    expected: ClassVar[Expected] = NUMBER

    kind: Literal["numeric"] = "numeric"
    column: str | None = None
    """Raw feature column; the feature's own name by default."""
    log1p: bool = False
    scale: Literal["standard", "minmax", "robust", "none"] = "standard"
    """(x - mean) / std; (x - min) / (max - min); (x - median) / (q75 - q25); x. The standard
    deviation is the population's (divided by the number of values)."""
    impute: Literal["mean", "median", "zero"] | Annotated[float, Field(allow_inf_nan=False)] = (
        "mean"
    )
    """A statistic of the training split, or a number in the raw column's unit."""
    missing_flag: bool = False
    """Adds the float32 column `<feature>_is_missing`."""

    def numbers(self, column: str) -> Numbers:
        """Ask for what scaling and imputation need."""
        value = sql.as_double(column)
        return Numbers(
            raw=value,
            value=sql.log1p(value) if self.log1p else value,
            needed=needed_statistics(self.scale, self.impute),
        )

    def fitted(self, found: Found) -> FittedNumeric:
        """Take center, spread and the value of a missing one from the statistics."""
        assert found.numbers is not None
        numbers = scaling(found.name, self.scale, self.impute, found.numbers, self.log1p)
        return FittedNumeric(
            **found.base,
            log1p=self.log1p,
            center=numbers.center,
            spread=numbers.spread,
            missing=numbers.missing,
            missing_flag=self.missing_flag,
        )


class FittedNumeric(Fitted):
    """value = (x - center) / spread, x being log1p(max(raw, 0)) if `log1p`; missing = `missing`.

    Missing is null, NaN or infinite. A `spread` of 0 makes every value 0.0.
    """

    drift: ClassVar = "number"

    kind: Literal["numeric"] = "numeric"
    log1p: bool = False
    center: float = 0.0
    spread: float = 1.0
    missing: float = 0.0
    """Value of a missing one, scaled already."""
    missing_flag: bool = False

    def inputs(self) -> list[ModelInput]:
        """Return the value and, if asked for, the flag."""
        names = [self.name, f"{self.name}_is_missing"][: 1 + self.missing_flag]
        return [ModelInput(name=name, dtype="float32", kind="numeric") for name in names]

    def sql(self) -> list[str]:
        """Return the value and, if asked for, the flag."""
        raw = sql.as_double(self.column)
        value = sql.scaled(sql.log1p(raw) if self.log1p else raw, self.center, self.spread)
        values = [sql.as_float(raw, value, self.missing)]
        if self.missing_flag:
            values.append(sql.flag(sql.present(raw), then=0))
        return values

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return the value and, if asked for, the flag."""
        return self.keras_together([self], raw)

    @classmethod
    def keras_together(cls, features: Sequence[Self], raw: RawTensors) -> dict[str, Any]:
        """Compute all numbers at once, as the columns of one tensor."""
        import tensorflow as tf

        def constants(field: str) -> Any:
            return tf.constant([float(getattr(one, field)) for one in features], tf.float64)

        zero, spread = tf.constant(0.0, tf.float64), constants("spread")
        x = tf.stack([raw.columns[one.column] for one in features], axis=-1)
        is_present = tf.math.is_finite(x)
        x = tf.where(is_present, x, zero)
        x = tf.where(constants("log1p") > 0, tf.math.log1p(tf.maximum(x, zero)), x)
        x = (x - constants("center")) / tf.where(spread == 0, tf.ones_like(spread), spread)
        x = tf.where(is_present, tf.where(spread == 0, zero, x), constants("missing"))
        columns = tf.unstack(tf.cast(x, tf.float32), axis=-1)
        values = {one.name: column for one, column in zip(features, columns, strict=True)}
        flags = tf.unstack(tf.cast(~is_present, tf.float32), axis=-1)
        for one, flag in zip(features, flags, strict=True):
            if one.missing_flag:
                values[f"{one.name}_is_missing"] = flag
        return values
