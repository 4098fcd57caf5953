"""An entity's table rules, judged by the silver table as it is about to be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.batch import Batch, snapshot_rows
from pipelines.cleaning.casts import ORDER
from pipelines.cleaning.duplicates import FATE
from pipelines.cleaning.progress import read_progress
from pipelines.cleaning.snapshots import gap_in_snapshot
from pipelines.cleaning.treat import TOMBSTONE, silver_columns
from pipelines.errors import TableNotFound
from pipelines.lake.catalog import Table
from pipelines.quality.table_rules import Outlook, TableResult, end_of_day, judge_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run

_IS_NEW = "_is_new"


def judge_tables(run: Run, batches: Mapping[str, Batch]) -> dict[str, list[TableResult]]:
    """Judge the table rules of all entities, also of those to which nothing new has come."""
    return {
        name: judge_table(entity.table_rules, _outlook(run, name, batches))
        for name, entity in run.pipeline.clean.entities.items()
        if entity.table_rules and (name in batches or _silver(run, name) is not None)
    }


def table_after(
    silver: DataFrame | None, kept: DataFrame, key: Sequence[str], content: Sequence[str]
) -> DataFrame:
    """Return the content that a merge of the kept rows will leave, by the same order rule."""
    from pyspark.sql import Window

    if TOMBSTONE not in kept.columns:
        kept = kept.withColumn(TOMBSTONE, F.lit(False))
    columns = [F.col(f"`{name}`") for name in (*content, *ORDER)]
    every = kept.select(*columns, TOMBSTONE, F.lit(True).alias(_IS_NEW))
    if silver is not None:
        there = [F.col(f"`{name}`") for name in (*content, *ORDER) if name in silver.columns]
        old = silver.select(*there, F.lit(False).alias(TOMBSTONE), F.lit(False).alias(_IS_NEW))
        every = every.unionByName(old, allowMissingColumns=True)
    newest_first = Window.partitionBy(*[F.col(f"`{name}`") for name in key]).orderBy(
        *[F.col(name).desc() for name in ORDER], F.col(_IS_NEW).asc()
    )
    newest = every.withColumn("_rank", F.row_number().over(newest_first)).where("_rank = 1")
    return newest.where(f"NOT {TOMBSTONE}").select(*[F.col(f"`{name}`") for name in content])


def _outlook(run: Run, name: str, batches: Mapping[str, Batch]) -> Outlook:
    batch = batches.get(name)
    progress = read_progress(run.spark, run.lake, run.pipeline.name, name)

    def num_table() -> int | None:
        silver = _silver(run, name)
        return None if silver is None else silver.count()

    return Outlook(
        name=str(run.tables.silver(name)),
        new_rows=batch.rows.where(F.col(FATE) == "kept") if batch else None,
        table=lambda: _after(run, name, batches),
        num_new=batch.num_delivered if batch else 0,
        num_before=progress.num_delivered if progress else None,
        least_and_most=None,
        is_delivery=batch is not None and batch.num_delivered > 0,
        num_table=num_table,
        as_of=_as_of(run, name, batch),
        timezone=run.pipeline.timezone,
        referred=lambda table: _after(run, Table.parse(table).name, batches),
    )


def _after(run: Run, name: str, batches: Mapping[str, Batch]) -> DataFrame:
    """Return the content of a silver table as this run will leave it."""
    entity, batch = run.pipeline.clean.entities[name], batches.get(name)
    silver, content = _silver(run, name), silver_columns(entity)
    if batch is not None and batch.is_again:
        silver = None
    if batch is None:
        if silver is None:
            raise TableNotFound(
                f"there is no table {run.tables.silver(name)} in the lake {run.lake.root}, which a "
                f"table rule looks at. Run `tidemill ingest {run.pipeline.name}` first."
            )
        return silver
    kept = batch.rows.where(F.col(FATE) == "kept")
    after = table_after(silver, kept, entity.key, content)
    if not batch.has_new_snapshot or gap_in_snapshot(run, batch):
        return after
    keys = snapshot_rows(batch).select(*[F.col(f"`{one}`") for one in entity.key]).distinct()
    return after.join(keys, on=list(entity.key), how="left_semi")


def _silver(run: Run, name: str) -> DataFrame | None:
    return run.standing.read(run.tables.silver(name))


def _as_of(run: Run, name: str, batch: Batch | None) -> dt.datetime | None:
    if run.date is not None:
        return end_of_day(run.date, run.pipeline.timezone)
    rows = batch.rows if batch else _silver(run, name)
    found = rows.agg(F.unix_micros(F.max(ORDER[0]))).head() if rows is not None else None
    if found is None or found[0] is None:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=found[0])
