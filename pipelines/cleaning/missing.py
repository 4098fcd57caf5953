"""Missing values: kept, filled, flagged, or the reason why a row leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.casts import IS_DROPPED
from pipelines.cleaning.texts import moment_from_text
from pipelines.cleaning.zones import moment_of
from pipelines.config.columns import Column
from pipelines.quality.rules import REASONS, names_where

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame


def treat_missing(df: DataFrame, columns: Mapping[str, Column], zone: str = "UTC") -> DataFrame:
    """Treat the missing values of each column as its setting says.

    A value that can't be cast isn't missing where it is already a reason (`cast:<column>`). With
    `drop` a row leaves whatever else is wrong with it. A column may be null in all rows. A constant
    time without an offset is of `zone`.
    """
    treated = {name: c for name, c in columns.items() if c.missing.action != "keep"}
    if not treated:
        return df
    is_missing = {
        name: F.col(f"`{name}`").isNull() & ~F.array_contains(REASONS, f"cast:{name}")
        for name in treated
    }
    by_action = {
        action: [name for name, c in treated.items() if c.missing.action == action]
        for action in ("constant", "flag", "drop", "quarantine")
    }
    constants = {
        name: F.when(is_missing[name], _constant(columns[name], zone)).otherwise(F.col(f"`{name}`"))
        for name in by_action["constant"]
    }
    flags = {f"{name}_is_missing": is_missing[name] for name in by_action["flag"]}
    drops = F.lit(False)
    for name in by_action["drop"]:
        drops = drops | is_missing[name]
    reasons = names_where({f"missing:{name}": is_missing[name] for name in by_action["quarantine"]})
    return df.withColumns(
        {
            **constants,
            **flags,
            IS_DROPPED: F.col(IS_DROPPED) | drops,
            REASONS: F.concat(REASONS, reasons),
        }
    )


def _constant(column: Column, zone: str) -> SparkColumn:
    """Return what is put for a missing value, of the column's type."""
    value = column.missing.value
    if column.type != "timestamp":
        return F.lit(value).cast(column.type)
    # As a text: PySpark takes a time of Python's for one of this machine's zone.
    at, is_local = moment_from_text(F.lit(str(value)))
    return F.when(is_local, moment_of(at, zone)).otherwise(at)


def require_key(df: DataFrame, key: Sequence[str]) -> DataFrame:
    """Give a row without a full key the reason `missing:<column>`: it can't be told apart.

    Only where nothing else is wrong with it; otherwise the empty key is a consequence.
    """
    empty = names_where({f"missing:{name}": F.col(f"`{name}`").isNull() for name in key})
    reasons = F.when(F.size(REASONS) == 0, empty).otherwise(F.col(REASONS))
    return df.withColumn(REASONS, reasons)
