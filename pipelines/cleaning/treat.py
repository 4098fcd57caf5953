"""All transforms of an entity in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.casts import RAW, cast_columns
from pipelines.cleaning.derive import derive_columns
from pipelines.cleaning.duplicates import Snapshot, decide_fates
from pipelines.cleaning.missing import require_key, treat_missing
from pipelines.cleaning.outliers import Bounds, treat_outliers
from pipelines.config.clean import Entity
from pipelines.quality.expressions import analysed
from pipelines.quality.rules import REASONS, apply_rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TOMBSTONE = "_is_tombstone"


def type_rows(bronze: DataFrame, name: str, entity: Entity, zone: str = "UTC") -> DataFrame:
    """Return bronze rows typed, without outliers treated, with derived columns: to fit on."""
    df = treat_missing(cast_columns(bronze, entity.columns, zone), entity.columns, zone)
    return derive_columns(df, entity.derive, f"clean.entities.{name}.derive")


def treat(
    bronze: DataFrame,
    name: str,
    entity: Entity,
    bounds: Mapping[str, Bounds],
    only_snapshot: Snapshot | None = None,
    only_keys: DataFrame | None = None,
    zone: str = "UTC",
) -> DataFrame:
    """Return bronze rows with their silver columns, their reasons and their fate.

    With `only_keys`, rows of other keys are left out. Times without an offset are of `zone`.
    """
    where = f"clean.entities.{name}"
    df = cast_columns(bronze, entity.columns, zone)
    df = treat_missing(df, entity.columns, zone)
    df = treat_outliers(df, entity.columns, bounds)
    df = derive_columns(df, entity.derive, f"{where}.derive")
    df = require_key(df, entity.key)
    df = apply_rules(df, entity.rules, f"`{where}.rules`")
    if entity.delete_when is not None:
        tried = analysed(df, entity.delete_when, f"`{where}.delete_when`")
        is_tombstone = F.coalesce(tried["v"].cast("boolean"), F.lit(False))
        df = df.withColumn(TOMBSTONE, is_tombstone)
    # Only quarantined rows need their raw values; the others travel lighter.
    df = df.withColumn(RAW, F.when(F.size(REASONS) > 0, F.col(RAW)))
    if only_keys is not None:
        df = df.join(only_keys, on=list(entity.key), how="left_semi")
    return decide_fates(df, entity.key, entity.rules, only_snapshot)


def silver_columns(entity: Entity) -> list[str]:
    """Return the content of the silver table: columns, flags, derived columns."""
    names = []
    for name, column in entity.columns.items():
        names.append(name)
        if column.missing.action == "flag":
            names.append(f"{name}_is_missing")
        if column.outliers is not None and column.outliers.action == "flag":
            names.append(f"{name}_is_outlier")
    return [*names, *entity.derive]
