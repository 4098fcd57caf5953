"""Bounds of outliers, fitted once on a stated range of days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.cleaning.duplicates import FATE, decide_fates
from pipelines.cleaning.missing import require_key
from pipelines.cleaning.outliers import Bounds
from pipelines.config.clean import Entity
from pipelines.config.columns import Column, Outliers

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Fitted:
    """Bounds of one column and what they were fitted on.

    `centre` and `spread` are the middle and the distance of the quartiles (`iqr`), or mean and
    standard deviation (`sigma`). Bounds are None where the values don't spread: a constant or
    all-null column has no outliers.
    """

    settings: dict[str, Any]
    rows: int
    centre: float | None
    spread: float | None
    lower: float | None
    upper: float | None
    bronze_version: int

    @property
    def bounds(self) -> Bounds:
        """The bounds alone."""
        return Bounds(self.lower, self.upper)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def fit_settings(outliers: Outliers) -> dict[str, Any]:
    """Return those settings that the fit depends on; others may change without a new fit."""
    return outliers.model_dump(
        mode="json", include={"method", "factor", "date_column", "fit_range"}
    )


def columns_to_fit(entity: Entity, stored: Mapping[str, Fitted]) -> dict[str, Outliers]:
    """Return the columns whose bounds are fitted and not stored under the present settings."""
    return {
        name: column.outliers
        for name, column in entity.columns.items()
        if column.outliers is not None
        and column.outliers.is_fitted
        and (name not in stored or stored[name].settings != fit_settings(column.outliers))
    }


def fit_bounds(
    typed: DataFrame, entity: Entity, wanted: Mapping[str, Outliers], bronze_version: int
) -> dict[str, Fitted]:
    """Fit bounds on the newest good row of each key, in one pass over `typed` (`type_rows`).

    `iqr`: quartiles, minus and plus `factor` times their distance (Tukey's fences). `sigma`: mean,
    minus and plus `factor` population standard deviations. A column whose rows don't reach the
    last day of its `fit_range` is left out.
    """
    newest = decide_fates(require_key(typed, entity.key), entity.key).where(f"{FATE} = 'kept'")
    numbers = newest.agg(
        *[part for name, outliers in wanted.items() for part in _aggregates(name, outliers)]
    ).head()
    assert numbers is not None  # an aggregate without groups is one row
    fitted = {}
    for name, outliers in wanted.items():
        assert outliers.fit_range is not None  # the settings have seen to it
        last_day: dt.date | None = numbers[f"{name}.last_day"]
        if last_day is None or last_day < outliers.fit_range[1]:
            continue
        low, high = numbers[f"{name}.low"], numbers[f"{name}.high"]
        fitted[name] = _fitted(outliers, numbers[f"{name}.rows"], low, high, bronze_version)
    return fitted


def _aggregates(name: str, outliers: Outliers) -> list[SparkColumn]:
    assert outliers.fit_range is not None
    day = F.col(f"`{outliers.date_column}`").cast("date")
    value = F.when(day.between(*map(F.lit, outliers.fit_range)), F.col(f"`{name}`").cast("double"))
    if outliers.method == "iqr":
        low, high = F.percentile(value, F.lit(0.25)), F.percentile(value, F.lit(0.75))
    else:
        low, high = F.avg(value), F.stddev_pop(value)
    return [
        F.max(day).alias(f"{name}.last_day"),
        F.count(value).alias(f"{name}.rows"),
        low.alias(f"{name}.low"),
        high.alias(f"{name}.high"),
    ]


def _fitted(
    outliers: Outliers, rows: int, low: float | None, high: float | None, version: int
) -> Fitted:
    settings = fit_settings(outliers)
    if low is None or high is None:
        return Fitted(settings, rows, None, None, None, None, version)
    if outliers.method == "iqr":
        centre, spread = (low + high) / 2, high - low
        lower, upper = low - outliers.factor * spread, high + outliers.factor * spread
    else:
        centre, spread = low, high
        lower, upper = centre - outliers.factor * spread, centre + outliers.factor * spread
    if spread == 0:
        return Fitted(settings, rows, centre, 0.0, None, None, version)
    return Fitted(settings, rows, centre, spread, lower, upper, version)


def known_bounds(
    columns: Mapping[str, Column], fitted: Mapping[str, Fitted], fixed: Mapping[str, Bounds]
) -> dict[str, Bounds]:
    """Return the bounds of all columns that have some: fixed ones and fitted ones."""
    return {**fixed, **{name: fit.bounds for name, fit in fitted.items() if name in columns}}
