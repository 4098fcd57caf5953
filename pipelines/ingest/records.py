"""Records of landing files as frames: declared columns, where each came from, what is wrong."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names, other_letters, tolerated
from pipelines.ingest.files import LandingFile, literal
from pipelines.ingest.headers import read_headers

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, Observation, SparkSession
    from pyspark.sql.types import StructType

_Observed: TypeAlias = "Callable[[DataFrame], DataFrame]"
_RAW = "_tidemill_raw"
_REPLACEMENT = "\ufffd"
_BYTES_PER_FILE = 128 * 2**20
_BYTES_PER_TASK = 8 * 2**20
# Rows of one task are numbered in the low bits, tasks in the high ones.
_ROW_BITS = 2**33 - 1


@dataclass(frozen=True)
class Sorted:
    """Files of a batch: those to read, in groups that agree in their header, and the bad ones.

    `columns` are what is read of them, with types: those declared, and new ones that are added.
    """

    groups: dict[tuple[str, ...], list[LandingFile]]
    rejected: dict[LandingFile, str]
    columns: dict[str, str]
    drifted: dict[LandingFile, str] = field(default_factory=dict)
    """What was let pass in the columns of files that can be read."""


def sort_out(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Group files by header and set the bad ones aside, each with its reason."""
    if source.format == "json":
        return sort_by_header(files, _judge_keys(spark, files, source), source)
    return sort_by_header(files, read_headers(spark, files, source), source)


def sort_by_header(
    files: Sequence[LandingFile], headers: Sequence[tuple[str, ...] | str], source: Source
) -> Sorted:
    """Group files that have the same header; a text instead of a header is a reason."""
    groups: defaultdict[tuple[str, ...], list[LandingFile]] = defaultdict(list)
    rejected, drifted = {}, {}
    for file, header in zip(files, headers, strict=True):
        if isinstance(header, str):
            rejected[file] = header
            continue
        groups[header].append(file)
        if source.format != "parquet" and (said := tolerated(header, source)):
            drifted[file] = said
    adds = source.schema_drift == "add"
    new = sorted({name for header in groups for name in header if adds} - set(source.columns))
    columns = dict.fromkeys((*source.columns, *new), "string")
    return Sorted(dict(groups), rejected, columns, drifted)


def without_other_letters(found: Sorted, there: Sequence[str]) -> Sorted:
    """Set aside files whose new columns are alike those of the table but for capital letters.

    Of Parquet `split_by_type` sees to it. `there` are the table's and the settings' columns; files
    are gone through by name, the first one's letters count.
    """
    spelt = {name.lower(): name for name in there}
    groups, rejected = dict[tuple[str, ...], list[LandingFile]](), dict(found.rejected)
    for header, files in sorted(found.groups.items(), key=lambda group: group[1][0]):
        reason = other_letters(header, spelt)
        if reason:
            rejected.update(dict.fromkeys(files, reason))
        else:
            groups[header] = files
            spelt |= {name.lower(): name for name in header}
    names = {name for header in groups for name in header} | set(there)
    columns = {name: kind for name, kind in found.columns.items() if name in names}
    drifted = {file: said for file, said in found.drifted.items() if file not in rejected}
    return Sorted(groups, rejected, columns, drifted)


def without_names(found: Sorted, source: Source) -> Sorted:
    """Return the same, with no names but declared ones in what is said of files.

    The first line of a file without a header is taken for one: its names are values.
    """
    texts = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
    declared = {repr(name) for name in source.columns}

    def hidden(said: dict[LandingFile, str]) -> dict[LandingFile, str]:
        return {
            file: texts.sub(lambda one: one[0] if one[0] in declared else "(not shown)", text)
            for file, text in said.items()
        }

    return replace(found, rejected=hidden(found.rejected), drifted=hidden(found.drifted))


def read_records(
    spark: SparkSession, found: Sorted, source: Source, seen: list[Observation] | None = None
) -> DataFrame:
    """Read all groups: the columns, `_link`, `_row`, `_reason` (null: good) and `_raw`.

    Observations of the number of records as they are read are added to `seen`, one a group.
    """
    read = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet}[source.format]

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


def row_position() -> Column:
    """Return where in its file a line stands: a number that grows from line to line.

    A file is read in blocks, and blocks of many files share a task. The number is the block's
    first byte plus the line's number in its task. A task reads no more bytes than a block may have,
    and a line has at least one, so the numbers of a block lie below those of the file's next.
    The order is the same however the file is cut; the numbers are no line numbers.
    """
    from pyspark.sql import functions as F

    in_task = F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS))
    return F.input_file_block_start() + in_task


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


def _read_csv(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: _Observed,
) -> DataFrame:
    from pyspark.sql import functions as F

    reader = _text_reader(spark, header, source).option("header", "true")
    separator = source.options.get("sep", source.options.get("delimiter", ","))
    there = [name for name in found.columns if name in header]
    raw = F.concat_ws(separator, *(F.col(f"`{name}`") for name in there))
    wrong = f"the record does not have the {len(header)} fields of the header"
    lines = observed(reader.csv(_paths(found.groups[header])))
    return _judged(lines, _columns(header, found), there, wrong, raw)


def _read_json(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: _Observed,
) -> DataFrame:
    from pyspark.sql import functions as F

    # from_json would read 1.50 as the number 1.5; the reader of files copies a value's own letters.
    lines = observed(_text_reader(spark, header, source).json(_paths(found.groups[header])))
    raw = F.to_json(F.struct(*(F.col(f"`{name}`") for name in header)))
    return _judged(lines, _columns(header, found), header, "the line is no JSON object", raw)


def _columns(there: Sequence[str], found: Sorted) -> list[Column]:
    """Return the columns to read: of their types, null where the files have none of the name."""
    from pyspark.sql import functions as F

    return [
        (F.col(f"`{name}`") if name in there else F.lit(None)).cast(kind).alias(name)
        for name, kind in found.columns.items()
    ]


def _text_reader(spark: SparkSession, header: Sequence[str], source: Source) -> DataFrameReader:
    reader = spark.read.schema(_text_schema(header, _RAW)).options(**source.options)
    return reader.options(
        mode="PERMISSIVE", columnNameOfCorruptRecord=_RAW, recursiveFileLookup="true"
    )


def _judged(
    lines: DataFrame, columns: Sequence[Column], there: Sequence[str], wrong_form: str, raw: Column
) -> DataFrame:
    """Add what is wrong with each record; `raw` is its text where the reader keeps none."""
    from pyspark.sql import functions as F

    texts = [F.col(f"`{name}`") for name in there]
    reason = F.when(F.col(_RAW).isNotNull(), F.lit(wrong_form)).when(
        _has_wrong_bytes(texts), F.lit("bytes that are no text of the file's encoding")
    )
    return lines.select(
        *columns,
        # `_metadata` says the same, but has every row copied once more.
        F.input_file_name().alias("_link"),
        row_position().alias("_row"),
        reason.alias("_reason"),
        F.coalesce(F.col(_RAW), raw).alias("_raw"),
    )


def _judge_keys(
    spark: SparkSession, files: Sequence[LandingFile], source: Source
) -> list[tuple[str, ...] | str]:
    """Return, file by file, the columns to read, or why its keys are not what is declared.

    A record may lack a key: it is null then.
    """
    from pyspark.sql import functions as F

    lines = spark.read.option("recursiveFileLookup", "true").text(_paths(files))
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


def _read_parquet(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: _Observed,
) -> DataFrame:
    from pyspark.sql import functions as F

    reader = spark.read.options(**source.options).option("recursiveFileLookup", "true")
    rows = observed(reader.parquet(*_paths(found.groups[header])))
    return rows.select(
        *_columns(rows.columns, found),
        F.col("_metadata.file_path").alias("_link"),
        # Equal rows take less than a byte each here, so blocks say nothing; the reader counts rows.
        F.col("_metadata.row_index").alias("_row"),
        F.lit(None).cast("string").alias("_reason"),
        F.lit(None).cast("string").alias("_raw"),
    )
