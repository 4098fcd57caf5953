"""Merges by a key, which can be repeated: rows that are there, or were newer, change nothing.

Each takes the table's write lock, makes the table where it is new, tries again where another commit
overtook it, and returns the version that holds the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Lake, Table
from pipelines.lake.commit import commit
from pipelines.lake.evolve import fitted_to
from pipelines.lake.read import latest_version
from pipelines.lake.write import make_if_absent

if TYPE_CHECKING:
    from delta.tables import DeltaMergeBuilder, DeltaTable
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Merged:
    """What a merge did: the version that holds its result, and how many rows it changed.

    `was_empty` says that the table held no row before.
    """

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    was_empty: bool = False


@dataclass(frozen=True)
class MergeBy:
    """By what rows, one per key, are merged into a table.

    A row updates its match only if `content` differs and its `order_by` tuple is greater (a late
    old delivery loses). `tombstone` names a boolean column of the rows that the table does not
    have: a newer row in which it is true removes its key. `prune` is an SQL condition over
    `target.<column>` that holds for every possible match: files that it excludes are not read.
    """

    key: Sequence[str]
    order_by: Sequence[str]
    content: Sequence[str]
    tombstone: str | None = None
    prune: str | None = None


def same(left: str, right: str, columns: Sequence[str]) -> str:
    """Return the SQL condition that two rows agree in all `columns`, nulls being equal."""
    return " AND ".join(f"{left}.`{name}` <=> {right}.`{name}`" for name in columns)


def upsert(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    by: MergeBy,
    cluster_by: Sequence[str] = (),
) -> Merged:
    """Merge rows, one per key, into a table: insert new keys, update where the row is newer.

    A merge without effect leaves the table's version as it was.
    """
    from delta.tables import DeltaTable

    order_source = ", ".join(f"source.`{name}`" for name in by.order_by)
    order_target = ", ".join(f"target.`{name}`" for name in by.order_by)
    newer = f"struct({order_source}) > struct({order_target})"
    differs = f"NOT ({same('source', 'target', by.content)})"
    matches = same("source", "target", by.key) + (f" AND ({by.prune})" if by.prune else "")
    stored = df.drop(by.tombstone) if by.tombstone else df
    values: dict[str, str | Column] = {name: f"source.`{name}`" for name in stored.columns}

    def write() -> Merged:
        make_if_absent(df.sparkSession, lake, table, stored.schema, cluster_by=cluster_by)
        target = DeltaTable.forPath(df.sparkSession, lake.path(table))
        if _can_fill(target, lake):
            lives = stored if by.tombstone is None else df.where(f"NOT `{by.tombstone}`")
            return _fill(lives.select(*stored.columns), lake, table)
        merge = target.alias("target").merge(df.alias("source"), matches)
        if by.tombstone:
            merge = merge.whenMatchedDelete(f"({newer}) AND source.`{by.tombstone}`")
        merge = merge.whenMatchedUpdate(f"({newer}) AND ({differs})", values)
        lives_on = f"NOT source.`{by.tombstone}`" if by.tombstone else "true"
        return _merged(merge.whenNotMatchedInsert(lives_on, values), lake, table)

    return commit(df.sparkSession, lake, table, write)


def delete_absent(df: DataFrame, lake: Lake, table: Table | str, key: Sequence[str]) -> Merged:
    """Delete the rows of a table whose key is not among those of `df`."""
    from delta.tables import DeltaTable

    def write() -> Merged:
        target = DeltaTable.forPath(df.sparkSession, lake.path(table)).alias("target")
        merge = target.merge(df.alias("source"), same("source", "target", key))
        return _merged(merge.whenNotMatchedBySourceDelete(), lake, table)

    return commit(df.sparkSession, lake, table, write)


def insert_new(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    key: Sequence[str],
    partition_by: Sequence[str] = (),
    prune: str | None = None,
) -> Merged:
    """Insert the rows whose key the table lacks; existing rows never change.

    `prune` is an SQL condition over `target.<column>` that narrows the search (a partition).
    """
    from delta.tables import DeltaTable

    spark = df.sparkSession
    condition = same("source", "target", key)
    if prune:
        condition = f"{condition} AND ({prune})"

    def write() -> Merged:
        make_if_absent(spark, lake, table, df.schema, partition_by)
        rows = fitted_to(df, lake, table)
        target = DeltaTable.forPath(spark, lake.path(table))
        if _can_fill(target, lake):
            return _fill(rows, lake, table)
        merge = target.alias("target").merge(rows.alias("source"), condition)
        return _merged(merge.whenNotMatchedInsertAll(), lake, table)

    return commit(spark, lake, table, write)


def _can_fill(target: DeltaTable, lake: Lake) -> bool:
    """Tell whether an append does what a merge would: the table is empty, and nobody else writes.

    Only the lock of a local lake is sure of the latter; elsewhere a merge finds out.
    """
    return lake.is_local and target.toDF().isEmpty()


def _fill(df: DataFrame, lake: Lake, table: Table | str) -> Merged:
    """Append the first rows of a table that `_can_fill`: far quicker than a merge."""
    from delta.tables import DeltaTable

    if df.isEmpty():
        return Merged(latest_version(df.sparkSession, lake, table), was_empty=True)
    df.write.format("delta").mode("append").save(lake.path(table))
    done = DeltaTable.forPath(df.sparkSession, lake.path(table)).history(1).head()
    assert done is not None  # the write above
    rows = int(done["operationMetrics"]["numOutputRows"])
    return Merged(int(done["version"]), inserted=rows, was_empty=True)


def _merged(merge: DeltaMergeBuilder, lake: Lake, table: Table | str) -> Merged:
    done = merge.execute()
    row = done.head()
    assert row is not None  # a merge answers with one row of numbers
    return Merged(
        latest_version(done.sparkSession, lake, table),
        inserted=int(row["num_inserted_rows"]),
        updated=int(row["num_updated_rows"]),
        deleted=int(row["num_deleted_rows"]),
    )
