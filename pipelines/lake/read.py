"""Reading a table at a version that was resolved once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.errors import TableNotFound, VersionNotFound
from pipelines.lake.catalog import Lake, Table, check_version
from pipelines.lake.files import list_files
from pipelines.lake.unmade import is_made

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def table_exists(spark: SparkSession, lake: Lake, table: Table | str) -> bool:
    """Tell whether a Delta table is there. A log without a commit, left by a kill, is none."""
    return is_made(spark, lake.path(table))


def latest_version(spark: SparkSession, lake: Lake, table: Table | str, made_by: str = "") -> int:
    """Return the newest version of a table.

    Raises TableNotFound where it does not exist; `made_by` names the stage that would make it.
    """
    if not table_exists(spark, lake, table):
        hint = f" Run `tidemill {made_by}` first." if made_by else ""
        raise TableNotFound(f"there is no table {table} in the lake {lake.root}.{hint}")
    # Asked of Delta's log itself: a history costs a Spark job.
    context: Any = spark.sparkContext
    log = context._jvm.org.apache.spark.sql.delta.DeltaLog
    nothing = context._jvm.scala.Option.empty
    found = log.forTable(spark._jsparkSession, lake.path(table))
    return int(found.update(False, nothing(), nothing()).version())


def missing_files(df: DataFrame, lake: Lake, table: Table | str) -> list[str]:
    """Return the names of the files that reading rows of a table would take, and that are gone.

    An erasure or a vacuum may have removed them. Spark finds out only while it reads.
    """
    stored = list_files(df.sparkSession, lake.path(table))
    there = {name.rpartition("/")[2] for name in stored}  # names of data files are unique
    return sorted({uri.rpartition("/")[2] for uri in df.inputFiles()} - there)


def read_at(spark: SparkSession, lake: Lake, table: Table | str, version: int) -> DataFrame:
    """Read a table at one version.

    Raises UsageError for what is no version, VersionNotFound where the table no longer holds it
    (log or files cleaned away).
    """
    from pyspark.errors import AnalysisException

    check_version(version)
    reader = spark.read.format("delta").option("versionAsOf", str(version))
    try:
        return reader.load(lake.path(table))
    except AnalysisException as error:
        raise VersionNotFound(
            f"{table} can't be read at version {version}: {str(error).splitlines()[0]}"
        ) from error
