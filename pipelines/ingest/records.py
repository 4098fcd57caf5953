"""Records of landing files, whatever their format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.ingest.csv_records import read_csv, take_censuses
from pipelines.ingest.drift import judged_header, quoted
from pipelines.ingest.files import LandingFile
from pipelines.ingest.json_packed import other_count, packed_lines
from pipelines.ingest.json_records import count_lines, judge_keys, read_json
from pipelines.ingest.parquet_footers import Footers, nested_nanoseconds
from pipelines.ingest.parquet_int96 import find_losses, int96_columns
from pipelines.ingest.parquet_nested import find_miscounted, in_groups
from pipelines.ingest.parquet_records import read_parquet
from pipelines.ingest.sorting import Sorted, sort_by_header
from pipelines.ingest.unreadable import find_unreadable
from pipelines.lake.storage import local_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Observation, SparkSession

_COLON = "its name has a colon, under which Hadoop opens no file of this machine; rename it"
_BYTES_PER_FILE = 128 * 2**20
_BYTES_PER_TASK = 8 * 2**20


def sort_out(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Group files by header and set the bad ones aside, each with its reason."""
    if not files:
        return sort_by_header([], [], source)
    if source.format == "csv":
        return _sort_csv(spark, files, source)
    # Hadoop looks for `.<name>.crc` beside a local file, and takes a colon for a scheme's end.
    nameless = {
        file: _COLON
        for file in files
        if ":" in file.path.rpartition("/")[2] and local_path(file.uri) is not None
    }
    left = [file for file in files if file not in nameless]
    found = (_sort_json if source.format == "json" else _sort_parquet)(spark, left, source)
    return found.without(nameless)


def _sort_csv(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    censuses = take_censuses(spark, files, source)
    headers = [
        one if isinstance(one, str) else judged_header(one.header, source) for one in censuses
    ]
    found = sort_by_header(files, headers, source)
    there = zip(files, censuses, strict=True)
    layouts = {file: one for file, one in there if not isinstance(one, str)}
    expected = {file: one.num_records for file, one in layouts.items()}
    return replace(found, layouts=layouts, expected=expected)


def _sort_json(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Sort files by the keys of all their records, which are counted on the way."""
    count = partial(count_lines, spark, source=source)
    if not files:
        return sort_by_header([], [], source)
    packed = packed_lines(spark, files)
    bad = {file: found for file, found in packed.items() if isinstance(found, str)}
    good = [file for file in files if file not in bad]
    try:
        counted = count(good) if good else []
    except Exception:
        unreadable = find_unreadable(good, count)
        if not unreadable:
            raise
        bad |= unreadable
        good = [file for file in good if file not in bad]
        counted = count(good) if good else []
    census = dict(zip(good, counted, strict=True))
    for file, one in census.items():
        expected = packed.get(file, one.all_lines)
        if isinstance(expected, int) and one.all_lines != expected:
            bad[file] = other_count(one.all_lines, expected)
    headers = [bad[file] if file in bad else judge_keys(census[file], source) for file in files]
    found = sort_by_header(files, headers, source)
    return replace(found, expected={file: one.records for file, one in census.items()})


def _sort_parquet(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> Sorted:
    """Sort files by the schemas in their footers, which count the rows, too."""
    footers = Footers(spark, source).read(files) if files else []
    headers: list[tuple[str, ...] | str] = []
    counted: dict[LandingFile, int] = {}
    in_lists: dict[LandingFile, tuple[int, ...]] = {}
    old_times: list[tuple[LandingFile, tuple[str, ...]]] = []
    for file, footer in zip(files, footers, strict=True):
        if isinstance(footer, str):
            headers.append(footer)
            continue
        nested = [n for n in nested_nanoseconds(footer.names, footer.fields) if n in source.columns]
        reason = f"nanoseconds inside a nested value can't be read: {quoted(nested)}"
        headers.append(reason if nested else footer.fields)
        counted[file], in_lists[file] = footer.num_rows, footer.in_lists
        if columns := int96_columns(footer.names, footer.fields):
            old_times.append((file, columns))
    found = replace(sort_by_header(files, headers, source), expected=counted)
    bad = find_losses(spark, old_times, source) if old_times else {}
    for alike in in_groups(found.groups, in_lists):
        bad |= find_miscounted(spark, alike, source)
    return found.without(bad) if bad else found


def read_records(
    spark: SparkSession, found: Sorted, source: Source, seen: list[Observation] | None = None
) -> DataFrame:
    """Read all groups: the columns, `_link`, `_row`, `_reason` (null: good) and `_raw`.

    Observations of the number of records as they are read are added to `seen`, one a group. Of CSV
    files the number is known before; they have `_number` (in `found.files`) in place of `_link`.
    """
    if source.format == "csv":
        return read_csv(spark, found, source)
    read = {"json": read_json, "parquet": read_parquet}[source.format]

    def observed(lines: DataFrame) -> DataFrame:
        from pyspark.sql import Observation

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
