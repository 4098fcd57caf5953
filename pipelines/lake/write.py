"""Writes that can be repeated: append under a transaction id, replace a slice, merge on a key.

Each takes the table's write lock, makes the table with long retention where it is new, and
returns the version that holds the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Lake, Table
from pipelines.lake.lock import write_lock
from pipelines.lake.read import latest_version, table_exists

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

RETENTION_DAYS = 400


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
) -> None:
    """Make an empty table unless it exists."""
    from delta.tables import DeltaTable

    if table_exists(spark, lake, table):
        return
    builder = (
        DeltaTable.createIfNotExists(spark)
        .location(lake.path(table))
        .addColumns(schema)
    )
    if partition_by:
        builder = builder.partitionedBy(*partition_by)
    for key, value in {**table_properties(), **(properties or {})}.items():
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
    with write_lock(lake.path(table)):
        create_if_absent(spark, lake, table, df.schema, partition_by)
        writer = df.write.format("delta").mode("append")
        writer = writer.option("txnAppId", app_id).option(
            "txnVersion", str(txn_version)
        )
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)


def replace_slice(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    where: str,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> int:
    """Replace exactly the rows for which `where` holds. Every row of `df` must fulfil it.

    `where` of `"true"` replaces the whole content.
    """
    spark = df.sparkSession
    with write_lock(lake.path(table)):
        create_if_absent(spark, lake, table, df.schema, partition_by, properties)
        writer = df.write.format("delta").mode("overwrite")
        if where == "true":
            writer = writer.option("overwriteSchema", "true")
            if partition_by:
                writer = writer.partitionBy(*partition_by)
        else:
            writer = writer.option("replaceWhere", where)
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)


def same(left: str, right: str, columns: Sequence[str]) -> str:
    """Return the SQL condition that two rows agree in all `columns`, nulls being equal."""
    return " AND ".join(f"{left}.`{name}` <=> {right}.`{name}`" for name in columns)


def upsert(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    key: Sequence[str],
    order_by: Sequence[str],
    content: Sequence[str],
    delete_when: str | None = None,
    partition_by: Sequence[str] = (),
) -> int:
    """Merge rows, one per key, into a table: insert new keys, update where the row is newer.

    A row updates its match only if `content` differs and its `order_by` tuple is greater (a late
    old delivery loses). `delete_when` is an SQL condition over `source.<column>`: a newer row for
    which it holds removes its key. A merge without effect leaves the table's version as it was.
    """
    from delta.tables import DeltaTable

    spark = df.sparkSession
    order_source = ", ".join(f"source.`{name}`" for name in order_by)
    order_target = ", ".join(f"target.`{name}`" for name in order_by)
    newer = f"struct({order_source}) > struct({order_target})"
    differs = f"NOT ({same('source', 'target', content)})"
    with write_lock(lake.path(table)):
        create_if_absent(spark, lake, table, df.schema, partition_by)
        merge = (
            DeltaTable.forPath(spark, lake.path(table))
            .alias("target")
            .merge(df.alias("source"), same("source", "target", key))
        )
        if delete_when:
            merge = merge.whenMatchedDelete(f"({newer}) AND ({delete_when})")
        merge = merge.whenMatchedUpdateAll(f"({newer}) AND ({differs})")
        insert_condition = (
            f"NOT coalesce({delete_when}, false)" if delete_when else None
        )
        merge.whenNotMatchedInsertAll(insert_condition).execute()
        return latest_version(spark, lake, table)


def insert_new(
    df: DataFrame,
    lake: Lake,
    table: Table | str,
    key: Sequence[str],
    partition_by: Sequence[str] = (),
    prune: str | None = None,
) -> int:
    """Insert the rows whose key the table lacks; existing rows never change.

    `prune` is an SQL condition over `target.<column>` that narrows the search (a partition).
    """
    from delta.tables import DeltaTable

    spark = df.sparkSession
    condition = same("source", "target", key)
    if prune:
        condition = f"{condition} AND ({prune})"
    with write_lock(lake.path(table)):
        create_if_absent(spark, lake, table, df.schema, partition_by)
        (
            DeltaTable.forPath(spark, lake.path(table))
            .alias("target")
            .merge(df.alias("source"), condition)
            .whenNotMatchedInsertAll()
            .execute()
        )
        return latest_version(spark, lake, table)
