"""Rows of Parquet files."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.ingest.files import LandingFile
from pipelines.ingest.frames import AS_NAMED, Observed, columns_of, paths_of
from pipelines.ingest.parquet_footers import nanosecond_columns
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

_OPTIONS = {
    **AS_NAMED,
    # Else a page that is not what its checksum says is read all the same.
    "parquet.page.verify-checksum.enabled": "true",
}


def open_parquet(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> DataFrame:
    """Return the rows of files of one schema: the table's names, the types Spark gives them."""
    rows = spark.read.options(**source.options).options(**_OPTIONS).parquet(*paths_of(files))
    return rows.withColumnsRenamed(source.renamed) if source.renamed else rows


def read_parquet(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: Observed,
) -> DataFrame:
    """Read the files of one schema. Nanoseconds that a microsecond can't hold are a finding."""
    rows = observed(open_parquet(spark, found.groups[header], source))
    nanos = {
        name: is_utc
        for name, is_utc in nanosecond_columns(header).items()
        if name in found.columns and name in rows.columns
    }
    nulls = found.as_null.get(header, frozenset())
    reason = raw = F.lit(None).cast("string")
    if nanos:
        loses = [(F.col(f"`{name}`") % 1000 != 0, name) for name in nanos]
        reason = F.coalesce(*(F.when(is_lost, F.lit(_lost(name))) for is_lost, name in loses))
        is_bad = reduce(lambda left, right: left | right, (is_lost for is_lost, _ in loses))
        raw = F.when(is_bad, F.to_json(F.struct(*(F.col(f"`{name}`") for name in rows.columns))))
    own = [
        F.col("_metadata.file_path").alias("_link"),
        # Equal rows take less than a byte each here, so blocks say nothing; the reader counts rows.
        F.col("_metadata.row_index").alias("_row"),
        reason.alias("_reason"),
        raw.alias("_raw"),
    ]
    there = [name for name in rows.columns if name not in nulls]
    times = {name: _time(name, is_utc) for name, is_utc in nanos.items() if name not in nulls}
    columns = [
        times[name].cast(kind).alias(name) if name in times else column
        for (name, kind), column in zip(
            found.columns.items(), columns_of(there, found), strict=True
        )
    ]
    return rows.select(*columns, *own)


def _lost(name: str) -> str:
    return f"'{name}' has nanoseconds, of which a table keeps microseconds"


def _time(name: str, is_utc: bool) -> Column:
    """Return a column of nanoseconds since 1970 as a time."""
    micros = f"`{name}` div 1000"
    if is_utc:
        return F.expr(f"timestamp_micros({micros})")
    # Not by way of a moment in UTC: the session's zone has no say in a time without one.
    seconds = f"cast(cast({micros} as decimal(18, 0)) / 1000000 as decimal(18, 6))"
    return F.expr(f"timestamp_ntz'1970-01-01' + make_dt_interval(0, 0, 0, {seconds})")
