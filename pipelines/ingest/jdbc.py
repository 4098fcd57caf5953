"""Tables of a database become bronze rows: those that are new since the last run.

Bronze is its own progress: it is asked for the largest value of the incremental column, and the
rows from that value on are read again, less those that are there. So rows with an equal value are
not lost, whenever they appear, and a run that was killed has either written its rows or none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.config.ingest import Jdbc, Source
from pipelines.errors import LandingError, SchemaError, SettingsError, nearest
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.tables import Tables, in_order_of, rows_schema, stored_columns
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at, table_exists
from pipelines.lake.write import append_once

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

logger = logging.getLogger(__name__)


def ingest_tables(
    spark: SparkSession, lake: Lake, pipeline: str, sources: Mapping[str, Source]
) -> dict[str, Outcome]:
    """Bring bronze up to date with the database tables among the sources."""
    return {
        name: ingest_table(spark, lake, pipeline, name, source, source.jdbc)
        for name, source in sources.items()
        if source.jdbc is not None
    }


def ingest_table(
    spark: SparkSession, lake: Lake, pipeline: str, name: str, source: Source, jdbc: Jdbc
) -> Outcome:
    """Append a table's new rows to `bronze.<name>`; a second call adds nothing.

    Raises LandingError where the table can't be read or has rows that no run would ever read,
    SchemaError where its columns are not those declared.
    """
    from pyspark.sql import Observation

    tables = Tables(name)
    found = _open(spark, name, source, jdbc)
    stored = stored_columns(spark, lake, tables, source)
    columns = found.schema if stored is None else stored
    _check_types(tables.rows, found.schema, columns)
    _check_no_nulls(found, name, jdbc)
    schema = rows_schema(columns)
    batch, low, before = _progress(spark, lake, tables.rows, jdbc)
    new = _newer(found, columns, jdbc, low, before)
    seen = Observation()
    rows = (
        new.orderBy(F.col(f"`{jdbc.incremental}`"))
        .withColumn("_row", F.monotonically_increasing_id())
        .withColumn("_source_file", F.lit(f"jdbc:{jdbc.table}"))
        .withColumn("_source_modified_at", F.current_timestamp())
        .withColumn("_ingested_at", F.current_timestamp())
        .withColumn("_batch", F.lit(batch))
        .observe(seen, F.count(F.lit(1)).alias("records"))
    )
    if before is not None and new.isEmpty():
        return Outcome()
    app_id = f"ingest.{pipeline}.{name}.jdbc"
    version = append_once(in_order_of(rows, schema), lake, tables.rows, app_id, batch)
    records = int(seen.get["records"])
    written = read_at(spark, lake, tables.rows, version).where(F.col("_batch") == batch).count()
    return Outcome(records=records, rows=written, written={tables.rows: version})


def credentials(name: str, jdbc: Jdbc) -> dict[str, str]:
    """Return user and password from the variables that the source names."""
    found = {}
    for option, variable in (("user", jdbc.user_env), ("password", jdbc.password_env)):
        if variable is None:
            continue
        value = os.environ.get(variable)
        if value is None:
            raise SettingsError(
                f"`ingest.sources.{name}.jdbc.{option}_env: {variable}` names a variable that is "
                f"not set in the environment. Set it to the {option} of {jdbc.url}."
            )
        found[option] = value
    return found


def _open(spark: SparkSession, name: str, source: Source, jdbc: Jdbc) -> DataFrame:
    """Return the table with the declared columns, unread."""
    reader = spark.read.format("jdbc").options(
        url=jdbc.url,
        dbtable=jdbc.table,
        fetchsize=str(jdbc.fetch_rows),
        # A time without a zone stays one: else the zone of this machine would count.
        preferTimestampNTZ="true",
        **credentials(name, jdbc),
    )
    try:
        table = reader.load()
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise
        # The first line of Java's own words; the options, with the password, are not in them.
        why = str(getattr(error, "java_exception", error)).splitlines()[0]
        raise LandingError(
            f"source '{name}': {jdbc.table} at {jdbc.url} can't be read: {why}. Look at the "
            "address, the table's name and the user's rights; the driver's jar has to be among "
            "Spark's (PostgreSQL's is put there by `make setup`)."
        ) from None
    known = table.columns
    for column in (*source.columns, jdbc.incremental):
        if column not in known:
            raise SchemaError(
                f"source '{name}': {jdbc.table} has no column '{column}'; it has {known}."
                f"{nearest(column, known)}"
            )
    return table.select(*(f"`{column}`" for column in source.columns))


def _check_types(table: str, found: StructType, stored: StructType) -> None:
    before: dict[str, DataType] = {field.name: field.dataType for field in stored}
    for field in found:
        if field.dataType != before[field.name]:
            raise SchemaError(
                f"{table}: column '{field.name}' is {field.dataType.simpleString()} in the "
                f"database, {before[field.name].simpleString()} in bronze. Give the changed table "
                "to a source of another name, or change its type back."
            )


def _check_no_nulls(found: DataFrame, name: str, jdbc: Jdbc) -> None:
    nulls = found.where(f"`{jdbc.incremental}` IS NULL").count()
    if nulls:
        raise LandingError(
            f"source '{name}': {nulls:,} rows of {jdbc.table} have no `{jdbc.incremental}`, so no "
            "run would ever read them. Give the column a default in the database, or name another "
            f"as `ingest.sources.{name}.jdbc.incremental`."
        )


def _progress(
    spark: SparkSession, lake: Lake, table: str, jdbc: Jdbc
) -> tuple[int, str | None, DataFrame | None]:
    """Return the next batch's number, the largest value so far, and the rows in bronze.

    The number follows the table's version, which grows whatever else happens to the table. The
    value is a text that casts back to exactly what it was. Released rows count for neither: what a
    person corrected says nothing of what was read.
    """
    if not table_exists(spark, lake, table):
        return 0, None, None
    version = latest_version(spark, lake, table)
    rows = read_at(spark, lake, table, version).where(F.col("_batch") >= 0)
    row = rows.agg(F.max(F.col(f"`{jdbc.incremental}`")).cast("string").alias("low")).head()
    return version + 1, row["low"] if row else None, rows


def _newer(
    found: DataFrame,
    columns: StructType,
    jdbc: Jdbc,
    low: str | None,
    before: DataFrame | None,
) -> DataFrame:
    """Return the rows from `low` on, less those of `before`, each counted as often as it is there.

    One query: what the database answers is of one moment.
    """
    if low is None or before is None:
        return found
    column: Column = F.col(f"`{jdbc.incremental}`")
    kind: Any = columns[jdbc.incremental].dataType
    border = F.lit(low).cast(kind)
    known = before.where(column == border).select(*found.columns)
    return found.where(column >= border).exceptAll(known)
