"""Writes that can be repeated: append under a transaction id, replace a slice, merge on a key.

Each takes the table's write lock, makes the table with long retention where it is new, tries again
where another commit overtook it, and returns the version that holds the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Lake, Table
from pipelines.lake.commit import commit, with_run_id
from pipelines.lake.evolve import fitted_to
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.unmade import clear_unmade

if TYPE_CHECKING:
    from delta.tables import DeltaMergeBuilder, DeltaTable
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

RETENTION_DAYS = 400


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


def table_properties(retention_days: int = RETENTION_DAYS) -> dict[str, str]:
    """Return the properties a new table gets: history kept for `retention_days`."""
    return {
        "delta.deletedFileRetentionDuration": f"interval {retention_days} days",
        "delta.logRetentionDuration": f"interval {retention_days} days",
        "delta.enableDeletionVectors": "true",
    }


def create_if_absent(
    spark: SparkSession,
    lake: Lake,
    table: Table | str,
    schema: StructType,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    cluster_by: Sequence[str] = (),
) -> None:
    """Make an empty table unless it exists.

    What a run left that was killed while it made the table is cleared first. Bronze and silver
    tables get a change feed, by which `clean` and `featurize` find what they have not yet consumed;
    tables that only grow pay nothing for it.
    """
    if not table_exists(spark, lake, table):
        parts = (schema, partition_by, properties, cluster_by)
        commit(spark, lake, table, lambda: _create(spark, lake, table, *parts))


def _create(
    spark: SparkSession,
    lake: Lake,
    table: Table | str,
    schema: StructType,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    cluster_by: Sequence[str] = (),
) -> None:
    """Make an empty table unless it exists. The caller has its lock."""
    from delta.tables import DeltaTable

    if table_exists(spark, lake, table):
        return
    clear_unmade(spark, lake.path(table))
    builder = DeltaTable.createIfNotExists(spark).location(lake.path(table)).addColumns(schema)
    if partition_by:
        builder = builder.partitionedBy(*partition_by)
    if cluster_by:
        builder = builder.clusterBy(*cluster_by)
    has_feed = Table.parse(str(table)).has_change_feed
    feed = {"delta.enableChangeDataFeed": "true"} if has_feed else {}
    for key, value in {**table_properties(), **feed, **(properties or {})}.items():
        builder = builder.property(key, value)
    builder.execute()


def append_once(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    app_id: str,
    txn_version: int,
    partition_by: Sequence[str] = (),
) -> int:
    """Append rows under (`app_id`, `txn_version`): a second append with that pair does nothing.

    `txn_version` is the end of the consumed input, never a date; it must grow.
    """
    spark = df.sparkSession

    def write() -> int:
        _create(spark, lake, table, df.schema, partition_by)
        writer = fitted_to(df, lake, table).write.format("delta").mode("append")
        writer = writer.option("txnAppId", app_id).option("txnVersion", str(txn_version))
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)

    return commit(spark, lake, table, write)


def replace_slice(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    where: str,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    note: Mapping[str, object] | None = None,
) -> int:
    """Replace exactly the rows for which `where` holds. Every row of `df` must fulfil it.

    `where` of `"true"` replaces the whole content. `properties` are those of the table, also of one
    that was there without them. `note` (plain JSON values by name) is kept in
    the table's history, as a part of this commit: see `pipelines.lake.notes`.
    """
    spark = df.sparkSession

    def write() -> int:
        _create(spark, lake, table, df.schema, partition_by, properties)
        _set_properties(spark, lake, table, properties or {})
        writer = fitted_to(df, lake, table).write.format("delta").mode("overwrite")
        if where == "true":
            writer = writer.option("overwriteSchema", "true")
            if partition_by:
                writer = writer.partitionBy(*partition_by)
        else:
            writer = writer.option("replaceWhere", where)
        if note is not None:
            writer = writer.option("userMetadata", with_run_id(lake, note))
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)

    return commit(spark, lake, table, write)


def _set_properties(
    spark: SparkSession, lake: Lake, table: Table | str, properties: Mapping[str, str]
) -> None:
    from delta.tables import DeltaTable

    if not properties:
        return
    row = DeltaTable.forPath(spark, lake.path(table)).detail().select("properties").head()
    there = row["properties"] if row else {}
    missing = {key: value for key, value in properties.items() if there.get(key) != value}
    if missing:
        given = ", ".join(f"'{key}' = '{value}'" for key, value in missing.items())
        spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ({given})")


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
        _create(df.sparkSession, lake, table, stored.schema, cluster_by=cluster_by)
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


def delete_absent(df: DataFrame, lake: Lake, table: Table | str, key: Sequence[str]) -> Merged:
    """Delete the rows of a table whose key is not among those of `df`."""
    from delta.tables import DeltaTable

    def write() -> Merged:
        target = DeltaTable.forPath(df.sparkSession, lake.path(table)).alias("target")
        merge = target.merge(df.alias("source"), same("source", "target", key))
        return _merged(merge.whenNotMatchedBySourceDelete(), lake, table)

    return commit(df.sparkSession, lake, table, write)


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
        _create(spark, lake, table, df.schema, partition_by)
        rows = fitted_to(df, lake, table)
        target = DeltaTable.forPath(spark, lake.path(table))
        if _can_fill(target, lake):
            return _fill(rows, lake, table)
        merge = target.alias("target").merge(rows.alias("source"), condition)
        return _merged(merge.whenNotMatchedInsertAll(), lake, table)

    return commit(spark, lake, table, write)


def replace_all(
    df: DataFrame, lake: Lake, table: Table | str, cluster_by: Sequence[str] = ()
) -> int:
    """Replace a table's content, and its columns where they are others, in one commit.

    Other than `replace_slice` it also does so with tables that are records.
    """
    spark = df.sparkSession

    def write() -> int:
        _create(spark, lake, table, df.schema, cluster_by=cluster_by)
        there = spark.read.format("delta").load(lake.path(table)).schema
        writer = df.write.format("delta").mode("overwrite")
        if _kinds(there) != _kinds(df.schema):
            writer = writer.option("overwriteSchema", "true")
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)

    return commit(spark, lake, table, write)


def _kinds(schema: StructType) -> list[tuple[str, str]]:
    return [(field.name, field.dataType.simpleString()) for field in schema]
