"""Records of landing files, whatever their format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.csv_records import read_csv
from pipelines.ingest.files import LandingFile
from pipelines.ingest.headers import read_headers
from pipelines.ingest.json_records import judge_keys, read_json
from pipelines.ingest.parquet_records import read_parquet
from pipelines.ingest.sorting import Sorted, sort_by_header

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Observation, SparkSession

_BYTES_PER_FILE = 128 * 2**20
_BYTES_PER_TASK = 8 * 2**20


def sort_out(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Group files by header and set the bad ones aside, each with its reason."""
    if source.format == "json":
        return sort_by_header(files, judge_keys(spark, files, source), source)
    return sort_by_header(files, read_headers(spark, files, source), source)


def read_records(
    spark: SparkSession, found: Sorted, source: Source, seen: list[Observation] | None = None
) -> DataFrame:
    """Read all groups: the columns, `_link`, `_row`, `_reason` (null: good) and `_raw`.

    Observations of the number of records as they are read are added to `seen`, one a group.
    """
    read = {"csv": read_csv, "json": read_json, "parquet": read_parquet}[source.format]

    def observed(lines: DataFrame) -> DataFrame:
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        if seen is None:
            return lines
        # Right at the files: further up, Spark would copy each row once more for it.
        seen.append(Observation())
        return lines.observe(seen[-1], F.count(F.lit(1)).alias("records"))

    frames = [read(spark, header, found, source, observed) for header in found.groups]
    return reduce(lambda left, right: left.unionByName(right), frames)


def few_files(df: DataFrame, num_bytes: int) -> DataFrame:
    """Narrow a frame so that many small landing files become few files of the table."""
    cores = df.sparkSession.sparkContext.defaultParallelism
    wanted = math.ceil(num_bytes / _BYTES_PER_FILE)
    parallel = min(cores, math.ceil(num_bytes / _BYTES_PER_TASK))
    return df.coalesce(max(1, wanted, parallel))
