"""Rows of Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.frames import Observed, columns_of, paths_of
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_parquet(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: Observed,
) -> DataFrame:
    """Read the files of one schema."""
    from pyspark.sql import functions as F

    reader = spark.read.options(**source.options).option("recursiveFileLookup", "true")
    rows = observed(reader.parquet(*paths_of(found.groups[header])))
    return rows.select(
        *columns_of(rows.columns, found),
        F.col("_metadata.file_path").alias("_link"),
        # Equal rows take less than a byte each here, so blocks say nothing; the reader counts rows.
        F.col("_metadata.row_index").alias("_row"),
        F.lit(None).cast("string").alias("_reason"),
        F.lit(None).cast("string").alias("_raw"),
    )
