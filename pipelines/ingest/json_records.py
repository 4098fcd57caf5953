"""Records of files with one JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.files import LandingFile
from pipelines.ingest.frames import Observed, columns_of, judged, paths_of, text_reader
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def judge_keys(
    spark: SparkSession, files: Sequence[LandingFile], source: Source
) -> list[tuple[str, ...] | str]:
    """Return, file by file, the columns to read, or why its keys are not what is declared.

    A record may lack a key: it is null then.
    """
    from pyspark.sql import functions as F

    lines = spark.read.option("recursiveFileLookup", "true").text(paths_of(files))
    declared = F.array(*(F.lit(name) for name in source.columns))
    unknown = F.array_except(F.json_object_keys("value"), declared)
    found = (
        lines.select(F.col("_metadata.file_path").alias("link"), F.explode(unknown).alias("key"))
        .groupBy("link")
        .agg(F.array_sort(F.collect_set("key")).alias("keys"))
        .collect()
    )
    extra = {row["link"]: row["keys"] for row in found}
    return [_keys_of(extra.get(file.link, []), source) for file in files]


def _keys_of(extra: Sequence[str], source: Source) -> tuple[str, ...] | str:
    try:
        judge_names([*source.columns, *extra], source)
    except BadFile as finding:
        return str(finding)
    return (*source.columns, *extra)


def read_json(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: Observed,
) -> DataFrame:
    """Read the files of one set of keys."""
    from pyspark.sql import functions as F

    # from_json would read 1.50 as the number 1.5; the reader of files copies a value's own letters.
    lines = observed(text_reader(spark, header, source).json(paths_of(found.groups[header])))
    raw = F.to_json(F.struct(*(F.col(f"`{name}`") for name in header)))
    return judged(lines, columns_of(header, found), header, "the line is no JSON object", raw)
