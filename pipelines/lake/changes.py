"""What changed in a table between two of its versions, by Delta's change feed."""

from __future__ import annotations

import logging
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import NoChangeFeed
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.commit import commit
from pipelines.lake.erased import feed_starts_after
from pipelines.lake.read import read_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

FEED = "delta.enableChangeDataFeed"
_FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


def table_id(spark: SparkSession, lake: Lake, table: Table | str) -> str:
    """Return the id that Delta gave a table when it was made: another one was made anew."""
    return str(_metadata(spark, lake, table).id())


def switch_on_feed(spark: SparkSession, lake: Lake, table: Table | str) -> bool:
    """Give a table a change feed from here on; return whether it had none."""
    properties = _metadata(spark, lake, table).configuration()
    if properties.contains(FEED) and properties.apply(FEED) == "true":
        return False
    change = f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ('{FEED}' = 'true')"
    commit(spark, lake, table, lambda: spark.sql(change))
    logger.warning("%s had no change feed; it has one from its next version on", table)
    return True


def change_feed(
    spark: SparkSession, lake: Lake, table: Table | str, after: int, until: int
) -> DataFrame:
    """Return every change after version `after` up to and with `until`, with `_change_type`.

    That is insert, delete, update_preimage or update_postimage. Reads only those versions' files.
    Raises NoChangeFeed where the feed doesn't reach back: not switched on, its log cleaned away,
    files taken out by an erasure. Vacuumed files show only when the frame is computed.
    """
    gap = feed_starts_after(spark, lake, table)
    if gap is not None and after < gap:
        raise NoChangeFeed(f"an erasure took files out of the change feed up to version {gap}.")
    try:
        reader = spark.read.format("delta").option("readChangeFeed", "true")
        reader = reader.option("startingVersion", str(after + 1))
        changes = reader.option("endingVersion", str(until)).load(lake.path(table))
        plan: Any = changes
        plan._jdf.queryExecution().executedPlan()  # a feed with gaps is refused here, not later
    except Exception as error:
        if not is_of_spark(error):
            raise
        raise NoChangeFeed(
            f"no change feed from version {after + 1} to {until}: {in_short(error)}"
        ) from error
    return changes


@dataclass(frozen=True)
class Added:
    """Rows that a table gained; `is_all`: all it has, because no feed tells the new ones apart."""

    rows: DataFrame
    is_all: bool


def rows_added(
    spark: SparkSession, lake: Lake, table: Table | str, after: int | None, until: int
) -> Added | None:
    """Return the rows that a table which only grows gained after version `after`, up to `until`.

    None where none can be. Where `after` is None, or the feed doesn't reach back, all rows at
    `until` are returned, and a warning says so: consumers must bear seeing a row again.
    """
    if after is None:
        return Added(read_at(spark, lake, table, until), is_all=True)
    if after >= until:
        return None
    try:
        changes = change_feed(spark, lake, table, after, until)
    except NoChangeFeed as error:
        logger.warning("%s: %s All its rows are read again.", table, error)
        return Added(read_at(spark, lake, table, until), is_all=True)
    return Added(changes.where("_change_type = 'insert'").drop(*_FEED_COLUMNS), is_all=False)


def is_of_spark(error: Exception) -> bool:
    """Tell whether an error came from Spark or its bridge, and is none of our own code."""
    return type(error).__module__.startswith(("pyspark.", "py4j."))


def in_short(error: Exception) -> str:
    """Return the beginning of what Spark says of an error, on one line."""
    return textwrap.shorten(str(error).split("JVM stacktrace")[0], 200, placeholder=" ...")


def _metadata(spark: SparkSession, lake: Lake, table: Table | str) -> Any:
    context: Any = spark.sparkContext
    log = context._jvm.org.apache.spark.sql.delta.DeltaLog
    nothing = context._jvm.scala.Option.empty
    found = log.forTable(spark._jsparkSession, lake.path(table))
    return found.update(False, nothing(), nothing()).metadata()
