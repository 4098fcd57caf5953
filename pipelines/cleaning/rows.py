"""The rows of a batch as silver and quarantine hold them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.batch import Batch, snapshot_rows
from pipelines.cleaning.casts import ORDER, RAW
from pipelines.cleaning.duplicates import FATE
from pipelines.cleaning.snapshots import gap_in_snapshot
from pipelines.cleaning.treat import TOMBSTONE, silver_columns
from pipelines.config.clean import Entity
from pipelines.lake.tables import DELIVERED
from pipelines.quality.rules import REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run


def silver_rows(rows: DataFrame, entity: Entity, at: dt.datetime) -> DataFrame:
    """Return the kept rows as the silver table holds them."""
    tombstone = [TOMBSTONE] if TOMBSTONE in rows.columns else []
    return rows.where(F.col(FATE) == "kept").select(
        *[F.col(f"`{name}`") for name in silver_columns(entity)],
        *ORDER,
        F.col(ORDER[1]).alias("_source_file"),
        F.lit(at).alias("_updated_at"),
        *tombstone,
    )


def quarantine_rows(rows: DataFrame, at: dt.datetime) -> DataFrame:
    """Return the quarantined rows with their raw values and reasons."""
    return rows.where(F.col(FATE) == "quarantined").select(
        f"{RAW}.*",
        F.col(REASONS).alias("reasons"),
        F.col(ORDER[1]).alias("_source_file"),
        F.col(ORDER[2]).alias("_row"),
        F.col(ORDER[0]).alias("_source_modified_at"),
        F.lit(at).alias("quarantined_at"),
    )


def one_each(bad: DataFrame) -> DataFrame:
    """Return one quarantined row where a row and what a person made of it are both bad."""
    from pyspark.sql import Window

    values = F.xxhash64(*[F.col(f"`{name}`") for name in bad.columns if name != "quarantined_at"])
    ranked = bad.withColumn(
        "_rank", F.row_number().over(Window.partitionBy(*DELIVERED).orderBy(values))
    )
    return ranked.where("_rank = 1").drop("_rank")


def living(good: DataFrame) -> DataFrame:
    """Return kept rows without those that remove their key by `delete_when`."""
    return good.where(f"NOT {TOMBSTONE}") if TOMBSTONE in good.columns else good


def that_stay(run: Run, batch: Batch, good: DataFrame) -> tuple[DataFrame, str | None]:
    """Return kept rows whose keys the newest full snapshot holds; or why it removes none."""
    rows = living(good)
    if not batch.has_new_snapshot:
        return rows, None
    gap = gap_in_snapshot(run, batch)
    keys = snapshot_rows(batch).select(*batch.entity.key).distinct()
    return (rows, gap) if gap else (rows.join(keys, list(batch.entity.key), "left_semi"), None)
