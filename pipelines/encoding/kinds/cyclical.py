"""`kind: cyclical`: a number that wraps around, such as an hour."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.encoding import sql
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, Numbers, RawTensors
from pipelines.encoding.raw import NUMBER, Expected


class Cyclical(FeatureSettings):
    """A number that wraps around; two float32 columns `<feature>_sin` and `<feature>_cos`.

    Missing values become (0, 0), which is no point of the circle.
    """

    expected: ClassVar[Expected] = NUMBER

    kind: Literal["cyclical"]
    column: str | None = None
    period: float = Field(gt=0, allow_inf_nan=False)

    def numbers(self, column: str) -> Numbers:
        """Ask for infinite ones alone."""
        return Numbers(raw=sql.as_double(column))

    def fitted(self, found: Found) -> FittedCyclical:
        """Take the settings as they are."""
        return FittedCyclical(**found.base, period=self.period)


class FittedCyclical(Fitted):
    """sin and cos of 2 pi raw / period; (0, 0) where raw is missing (null, NaN, infinite)."""

    drift: ClassVar = "number"

    kind: Literal["cyclical"] = "cyclical"
    period: float

    def inputs(self) -> list[ModelInput]:
        """Return sine and cosine."""
        names = [f"{self.name}_sin", f"{self.name}_cos"]
        return [ModelInput(name=name, dtype="float32", kind="numeric") for name in names]

    def sql(self) -> list[str]:
        """Return sine and cosine."""
        raw = sql.as_double(self.column)
        # The remainder is exact, so that far values lose nothing in the sine.
        period = sql.number(self.period)
        angle = f"{2 * math.pi!r}D * (({raw} % {period}) / {period})"
        return [sql.as_float(raw, f"{name}({angle})", 0.0) for name in ("sin", "cos")]

    def keras(self, raw: RawTensors) -> dict[str, Any]:
        """Return sine and cosine."""
        import tensorflow as tf

        x = raw.columns[self.column]
        zero, is_present = tf.constant(0.0, tf.float64), tf.math.is_finite(x)
        period = tf.constant(self.period, tf.float64)
        rest = tf.raw_ops.TruncateMod(x=tf.where(is_present, x, zero), y=period)
        angle = 2 * math.pi * (rest / period)
        return {
            f"{self.name}_{name}": tf.cast(tf.where(is_present, function(angle), zero), tf.float32)
            for name, function in (("sin", tf.math.sin), ("cos", tf.math.cos))
        }
