"""Records of landing files as frames: declared columns, where each came from, what is wrong."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.files import LandingFile, literal
from pipelines.ingest.headers import read_headers

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

_RAW = "_tidemill_raw"
_REPLACEMENT = "\ufffd"
_BYTES_PER_FILE = 128 * 2**20
_BYTES_PER_TASK = 8 * 2**20
# Rows of one task are numbered in the low bits, tasks in the high ones.
_ROW_BITS = 2**33 - 1


@dataclass(frozen=True)
class Sorted:
    """Files of a batch: those to read, in groups that agree in their header, and the bad ones."""

    groups: dict[tuple[str, ...], list[LandingFile]]
    rejected: dict[LandingFile, str]


def sort_out(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Group files by header and set the bad ones aside, each with its reason."""
    if source.format == "json":
        return Sorted({source.columns: list(files)} if files else {}, {})
    return sort_by_header(files, read_headers(spark, files, source))


def sort_by_header(
    files: Sequence[LandingFile], headers: Sequence[tuple[str, ...] | str]
) -> Sorted:
    """Group files that have the same header; a text instead of a header is a reason."""
    groups: defaultdict[tuple[str, ...], list[LandingFile]] = defaultdict(list)
    rejected = {}
    for file, header in zip(files, headers, strict=True):
        if isinstance(header, str):
            rejected[file] = header
        else:
            groups[header].append(file)
    return Sorted(dict(groups), rejected)


def read_records(
    spark: SparkSession, groups: dict[tuple[str, ...], list[LandingFile]], source: Source
) -> DataFrame:
    """Read all groups: declared columns, `_link`, `_row`, `_reason` (null: good) and `_raw`."""
    read = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet}[source.format]
    frames = [read(spark, header, files, source) for header, files in groups.items()]
    return reduce(lambda left, right: left.unionByName(right), frames)


def few_files(df: DataFrame, num_bytes: int) -> DataFrame:
    """Narrow a frame so that many small landing files become few files of the table."""
    cores = df.sparkSession.sparkContext.defaultParallelism
    wanted = math.ceil(num_bytes / _BYTES_PER_FILE)
    parallel = min(cores, math.ceil(num_bytes / _BYTES_PER_TASK))
    return df.coalesce(max(1, wanted, parallel))


def row_position() -> Column:
    """Return where in its file a line stands: a number that grows from line to line.

    A file is read in blocks, and blocks of many files share a task. The number is the block's
    first byte plus the line's number in its task. A task reads no more bytes than a block may have,
    and a line has at least one, so the numbers of a block lie below those of the file's next.
    The order is the same however the file is cut; the numbers are no line numbers.
    """
    from pyspark.sql import functions as F

    in_task = F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS))
    return F.col("_metadata.file_block_start") + in_task


def _text_schema(names: Sequence[str], *more: str) -> StructType:
    from pyspark.sql import types as T

    return T.StructType([T.StructField(name, T.StringType()) for name in [*names, *more]])


def _paths(files: Sequence[LandingFile]) -> list[str]:
    return [literal(file.uri) for file in files]


def _has_wrong_bytes(texts: Sequence[Column]) -> Column:
    """Tell whether a byte that is no UTF-8 was replaced while decoding."""
    from pyspark.sql import functions as F

    found = [F.coalesce(text.contains(_REPLACEMENT), F.lit(False)) for text in texts]
    return reduce(lambda left, right: left | right, found)


_WRONG_BYTES = "bytes that are no text of the file's encoding"


def _read_csv(
    spark: SparkSession, header: Sequence[str], files: Sequence[LandingFile], source: Source
) -> DataFrame:
    from pyspark.sql import functions as F

    reader = spark.read.schema(_text_schema(header, _RAW)).options(**source.options)
    reader = reader.options(header="true", mode="PERMISSIVE", columnNameOfCorruptRecord=_RAW)
    lines = reader.option("recursiveFileLookup", "true").csv(_paths(files))
    columns = [F.col(f"`{name}`") for name in source.columns]
    separator = source.options.get("sep", source.options.get("delimiter", ","))
    reason = F.when(
        F.col(_RAW).isNotNull(),
        F.lit(f"the record does not have the {len(header)} fields of the header"),
    ).when(_has_wrong_bytes(columns), F.lit(_WRONG_BYTES))
    return lines.select(
        *columns,
        F.col("_metadata.file_path").alias("_link"),
        row_position().alias("_row"),
        reason.alias("_reason"),
        F.coalesce(F.col(_RAW), F.concat_ws(separator, *columns)).alias("_raw"),
    )


def _read_json(
    spark: SparkSession, header: Sequence[str], files: Sequence[LandingFile], source: Source
) -> DataFrame:
    from pyspark.sql import functions as F

    options = {**source.options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": _RAW}
    value = F.col("value")
    lines = (
        spark.read.option("recursiveFileLookup", "true")
        .text(_paths(files))
        .where(F.trim(value) != "")
    )
    record, keys = F.col("record"), F.col("keys")
    unknown = F.array_except(keys, F.array(*(F.lit(name) for name in source.columns)))
    reason = (
        F.when(keys.isNull() | record[_RAW].isNotNull(), F.lit("the line is no JSON object"))
        .when(
            F.size(unknown) > 0,
            F.concat(F.lit("keys that are not declared: "), F.array_join(unknown, ", ")),
        )
        .when(_has_wrong_bytes([F.col("_raw")]), F.lit(_WRONG_BYTES))
    )
    return lines.select(
        F.col("_metadata.file_path").alias("_link"),
        row_position().alias("_row"),
        F.from_json(value, _text_schema(header, _RAW), options).alias("record"),
        F.json_object_keys(value).alias("keys"),
        value.alias("_raw"),
    ).select(
        *(record[name].alias(name) for name in source.columns),
        "_link",
        "_row",
        reason.alias("_reason"),
        "_raw",
    )


def _read_parquet(
    spark: SparkSession, _header: Sequence[str], files: Sequence[LandingFile], source: Source
) -> DataFrame:
    from pyspark.sql import functions as F

    reader = spark.read.options(**source.options).option("recursiveFileLookup", "true")
    return reader.parquet(*_paths(files)).select(
        *(F.col(f"`{name}`") for name in source.columns),
        F.col("_metadata.file_path").alias("_link"),
        # Equal rows take less than a byte each here, so blocks say nothing; the reader counts rows.
        F.col("_metadata.row_index").alias("_row"),
        F.lit(None).cast("string").alias("_reason"),
        F.lit(None).cast("string").alias("_raw"),
    )
