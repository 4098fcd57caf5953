"""Settings of `clean`: how bronze rows become typed silver rows or quarantined ones."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.base import Names, Settings

Severity = Literal["warn", "quarantine", "fail"]


class Missing(Settings):
    """What happens to a row whose value is missing in this column."""

    action: Literal["keep", "constant", "drop", "flag", "quarantine"] = "keep"
    """keep the null; put `value`; drop the row; keep and add `<column>_is_missing`; quarantine."""
    value: Any = None

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Missing:
        if (self.action == "constant") != (self.value is not None):
            raise ValueError(
                "`missing.value` and `missing.action: constant` go together"
            )
        return self


class Outliers(Settings):
    """What counts as an outlier in a numeric column, and what happens to it.

    `bounds` uses `min` and `max`. `iqr` (Tukey's fences) and `sigma` take bounds from statistics
    that are fitted once, on silver-typed rows with `date_column` in `fit_range`, and stored.
    """

    method: Literal["bounds", "iqr", "sigma"] = "bounds"
    min: float | None = None
    max: float | None = None
    factor: float = 3.0
    """Width of the fence: quartile distances (`iqr`) or standard deviations (`sigma`)."""
    date_column: str | None = None
    fit_range: tuple[dt.date, dt.date] | None = None
    action: Literal["clip", "quarantine", "flag", "null"] = "quarantine"
    """`flag` adds `<column>_is_outlier`; `null` empties the value."""

    @model_validator(mode="after")
    def _method_has_its_settings(self) -> Outliers:
        if self.method == "bounds" and self.min is None and self.max is None:
            raise ValueError("`outliers.method: bounds` needs `min` or `max`")
        if self.method != "bounds" and (
            self.fit_range is None or self.date_column is None
        ):
            raise ValueError(
                f"`outliers.method: {self.method}` needs `fit_range`, `date_column`"
            )
        return self


class Column(Settings):
    """One silver column: where it comes from, its type and its treatment."""

    source: str | None = None
    """Bronze column it is read from; the column's own name by default."""
    type: str = "string"
    """Spark SQL type: string, int, bigint, double, boolean, date, timestamp, decimal(p,s)."""
    format: str | None = None
    """Pattern for date and timestamp (`yyyyMMdd`)."""
    trim: bool = True
    null_values: tuple[str, ...] = ("", "NA")
    """Texts that mean a missing value (after trimming)."""
    on_cast_error: Literal["quarantine", "null"] = "quarantine"
    missing: Missing = Missing()
    outliers: Outliers | None = None


class Rule(Settings):
    """An expectation on silver rows."""

    name: str
    check: str
    """SQL expression over the silver columns; a row passes unless it is false."""
    severity: Severity = "quarantine"


class Entity(Settings):
    """One silver table: `silver.<entity>` and `quarantine.<entity>`."""

    source: str
    """Source whose bronze rows it is made from."""
    key: Names
    columns: dict[str, Column]
    derive: dict[str, str] = Field(default_factory=dict)
    """Further columns as SQL expressions over the columns above, in order."""
    rules: tuple[Rule, ...] = ()
    delete_when: str | None = None
    """SQL condition on the newest row of a key: true removes the key from silver."""
    cluster_by: tuple[str, ...] = ()


class Clean(Settings):
    """Settings of the stage `clean`."""

    entities: dict[str, Entity]
