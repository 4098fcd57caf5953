"""Records of CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.frames import Observed, columns_of, judged, paths_of, text_reader
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_csv(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: Observed,
) -> DataFrame:
    """Read the files of one header."""
    from pyspark.sql import functions as F

    reader = text_reader(spark, header, source).option("header", "true")
    separator = source.options.get("sep", source.options.get("delimiter", ","))
    there = [name for name in found.columns if name in header]
    raw = F.concat_ws(separator, *(F.col(f"`{name}`") for name in there))
    wrong = f"the record does not have the {len(header)} fields of the header"
    lines = observed(reader.csv(paths_of(found.groups[header])))
    return judged(lines, columns_of(header, found), there, wrong, raw)
