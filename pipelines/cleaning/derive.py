"""Derived columns: SQL expressions over the columns before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.errors import SettingsError
from pipelines.quality.expressions import analysed
from pipelines.quality.rules import REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TRIED = "_tried"


def derive_columns(df: DataFrame, expressions: Mapping[str, str], where: str) -> DataFrame:
    """Add the derived columns in their order; each may use those before it.

    A row in which one can't be evaluated (month 13, division by zero) gets null and the reason
    `derive:<column>`. `where` names the settings in errors.
    """
    for name, expression in expressions.items():
        place = f"`{where}.{name}`"
        tried = df.withColumn(_TRIED, analysed(df, expression, place))
        found = tried.select(f"{_TRIED}.v").schema["v"].dataType
        if found.typeName() == "void":
            raise SettingsError(
                f"{place} has no type: `{expression}`; say which: `CAST({expression} AS string)`"
            )
        failed = F.when(F.col(_TRIED).isNull(), F.array(F.lit(f"derive:{name}")))
        reasons = F.concat(REASONS, F.coalesce(failed, F.array().cast("array<string>")))
        df = tried.withColumns({name: F.col(_TRIED)["v"], REASONS: reasons}).drop(_TRIED)
    return df
