"""Writes that can be repeated: append under a transaction id, replace a slice or all.

Each takes the table's write lock, makes the table with long retention where it is new, tries again
where another commit overtook it, and returns the version that holds the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Lake, Table
from pipelines.lake.commit import commit, with_run_id
from pipelines.lake.evolve import fitted_to
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.unmade import clear_unmade

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
    cluster_by: Sequence[str] = (),
) -> None:
    """Make an empty table unless it exists.

    What a run left that was killed while it made the table is cleared first. Bronze and silver
    tables get a change feed, by which `clean` and `featurize` find what they have not yet consumed;
    tables that only grow pay nothing for it.
    """
    if not table_exists(spark, lake, table):
        parts = (schema, partition_by, properties, cluster_by)
        commit(spark, lake, table, lambda: make_if_absent(spark, lake, table, *parts))


def make_if_absent(
    spark: SparkSession,
    lake: Lake,
    table: Table | str,
    schema: StructType,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    cluster_by: Sequence[str] = (),
) -> None:
    """Make an empty table unless it exists, inside of a commit: the caller has its lock."""
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
        make_if_absent(spark, lake, table, df.schema, partition_by)
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
        make_if_absent(spark, lake, table, df.schema, partition_by, properties)
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


def replace_all(
    df: DataFrame, lake: Lake, table: Table | str, cluster_by: Sequence[str] = ()
) -> int:
    """Replace a table's content, and its columns where they are others, in one commit.

    Other than `replace_slice` it also does so with tables that are records.
    """
    spark = df.sparkSession

    def write() -> int:
        make_if_absent(spark, lake, table, df.schema, cluster_by=cluster_by)
        there = spark.read.format("delta").load(lake.path(table)).schema
        writer = df.write.format("delta").mode("overwrite")
        if _kinds(there) != _kinds(df.schema):
            writer = writer.option("overwriteSchema", "true")
        writer.save(lake.path(table))
        return latest_version(spark, lake, table)

    return commit(spark, lake, table, write)


def _kinds(schema: StructType) -> list[tuple[str, str]]:
    return [(field.name, field.dataType.simpleString()) for field in schema]
