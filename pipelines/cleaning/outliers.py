"""Outliers: values outside fixed or fitted bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.columns import Column
from pipelines.quality.rules import REASONS, names_where

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest value that is no outlier; None: any."""

    lower: float | None = None
    upper: float | None = None


def fixed_bounds(columns: Mapping[str, Column]) -> dict[str, Bounds]:
    """Return the bounds that stand in the settings."""
    return {
        name: Bounds(c.outliers.min, c.outliers.max)
        for name, c in columns.items()
        if c.outliers is not None and not c.outliers.is_fitted
    }


def treat_outliers(
    df: DataFrame, columns: Mapping[str, Column], bounds: Mapping[str, Bounds]
) -> DataFrame:
    """Treat the values outside `bounds` as each column's setting says; null is no outlier.

    A column whose bounds aren't known (not in `bounds`) has no outliers. What `null` empties has
    passed the treatment of missing values: it stays null.
    """
    made: dict[str, SparkColumn] = {}
    reasons: dict[str, SparkColumn] = {}
    for name, column in columns.items():
        if column.outliers is None:
            continue
        value, known = F.col(f"`{name}`"), bounds.get(name, Bounds())
        is_outlier = _is_outlier(value, known)
        match column.outliers.action:
            case "flag":
                made[f"{name}_is_outlier"] = is_outlier
            case "null":
                made[name] = F.when(~is_outlier, value)
            case "clip":
                made[name] = _clipped(value, column, known)
            case "quarantine":
                reasons[f"outlier:{name}"] = is_outlier
    if reasons:
        made[REASONS] = F.concat(REASONS, names_where(reasons))
    return df.withColumns(made) if made else df


def _is_outlier(value: SparkColumn, bounds: Bounds) -> SparkColumn:
    outside = F.lit(False)
    if bounds.lower is not None:
        outside = outside | (value.cast("double") < bounds.lower)
    if bounds.upper is not None:
        outside = outside | (value.cast("double") > bounds.upper)
    return F.coalesce(outside, F.lit(False))


def _clipped(value: SparkColumn, column: Column, bounds: Bounds) -> SparkColumn:
    """Return the value, or the bound it passes; for whole numbers the last whole one inside."""
    clipped = value
    if bounds.lower is not None:
        lower = math.ceil(bounds.lower) if column.is_integer else bounds.lower
        clipped = F.when(
            value.cast("double") < bounds.lower, F.lit(lower).cast(column.type)
        ).otherwise(clipped)
    if bounds.upper is not None:
        upper = math.floor(bounds.upper) if column.is_integer else bounds.upper
        clipped = F.when(
            value.cast("double") > bounds.upper, F.lit(upper).cast(column.type)
        ).otherwise(clipped)
    return clipped
