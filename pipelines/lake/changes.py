"""The rows that a table which only grows has gained between two of its versions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import read_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

_FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


def table_id(spark: SparkSession, lake: Lake, table: Table | str) -> str:
    """Return the id that Delta gave a table when it was made: another one was made anew."""
    from delta.tables import DeltaTable

    row = DeltaTable.forPath(spark, lake.path(table)).detail().select("id").head()
    assert row is not None  # a table has one line of detail
    return str(row["id"])


def rows_added(
    spark: SparkSession, lake: Lake, table: Table | str, after: int | None, until: int
) -> DataFrame | None:
    """Return the rows added after version `after` up to and with `until`; None where none can be.

    Reads only the files of those versions, by Delta's change feed. Where `after` is None, or the
    feed doesn't reach back (not switched on, its files vacuumed, its log cleaned away), all rows
    at `until` are returned, and a warning says so: consumers must bear seeing a row again.
    """
    if after is None:
        return read_at(spark, lake, table, until)
    if after >= until:
        return None
    try:
        reader = spark.read.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", str(after + 1))
        changes: Any = reader.option("endingVersion", str(until)).load(lake.path(table))
        added: DataFrame = changes.where("_change_type = 'insert'").drop(*_FEED_COLUMNS)
        added._jdf.queryExecution().executedPlan()  # a feed with gaps is refused here, not later
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise
        logger.warning(
            "%s: no change feed from version %d to %d, all its rows are read again: %s",
            table,
            after + 1,
            until,
            str(error).strip().splitlines()[0],
        )
        return read_at(spark, lake, table, until)
    return added
