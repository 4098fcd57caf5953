"""How a training set lies in its files: each file a contiguous range of dense positions.

Rows are ordered by a 64-bit hash of their grain (key and date), inside each split. The hash's upper
bits are a row's bucket, and buckets are counted first. So the driver knows beforehand how many rows
every file gets and at which position it starts; one shuffle then brings each file's rows to one
task, which sorts and numbers them. Nothing depends on names, tasks or the number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.encoding.sql import literal, quoted
from pipelines.errors import FeatureError
from pipelines.lake.session import session_settings
from pipelines.training_set.split import key_hash

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

SMALLEST_BITS = 12
LARGEST_BITS = 20
_SALT = "position"


@dataclass(frozen=True)
class FilePlan:
    """One file: the buckets `first_bucket` .. `end_bucket` - 1 of a split, in hash order."""

    split: str
    first_bucket: int
    end_bucket: int
    first_position: int
    num_rows: int


def bucket(grain: Sequence[str], bits: int) -> str:
    """Return the SQL expression of a row's bucket, 0 .. 2**bits - 1, rising with the hash."""
    return f"CAST(shiftright({key_hash(grain, _SALT)}, {64 - bits}) + {2 ** (bits - 1)} AS INT)"


def plan_files(
    counts: Mapping[str, Mapping[int, int]], bits: int, file_rows: int
) -> list[FilePlan] | None:
    """Cut each split into as few files as hold `file_rows` rows at most, of about equal length.

    `counts` has the rows of each split by bucket. None where a bucket alone is larger than a
    file: count again with more bits.
    """
    files: list[FilePlan] = []
    for split, by_bucket in counts.items():
        cut = _cut(split, by_bucket, 2**bits, file_rows)
        if cut is None:
            return None
        files += cut
    return files


def _cut(
    split: str, counts: Mapping[int, int], num_buckets: int, file_rows: int
) -> list[FilePlan] | None:
    total = sum(counts.values())
    if not total:
        return []
    if max(counts.values()) > file_rows:
        return None
    num_files = -(-total // file_rows)
    while True:
        files = _cut_into(split, counts, num_buckets, num_files)
        if max(one.num_rows for one in files) <= file_rows:
            return files
        num_files += 1


def _cut_into(
    split: str, counts: Mapping[int, int], num_buckets: int, num_files: int
) -> list[FilePlan]:
    """Cut at the last bucket border that does not pass each num_files-th part of the rows."""
    total = sum(counts.values())
    borders, position = [(0, 0)], 0
    for place in sorted(counts):
        passes_cut = (position + counts[place]) * num_files > total * len(borders)
        if passes_cut and position > borders[-1][1]:
            borders.append((place, position))
        position += counts[place]
    ends = [*borders[1:], (num_buckets, total)]
    return [
        FilePlan(split, first, end, start, stop - start)
        for (first, start), (end, stop) in zip(borders, ends, strict=True)
    ]


def lay_out(df: DataFrame, files: Sequence[FilePlan], grain: Sequence[str], bits: int) -> DataFrame:
    """Add `_position` and bring every file's rows, sorted by it, to a partition of its own.

    `df` has the column `_split`; its rows are those that were counted for the plan.
    """
    keys = partition_keys(len(files))
    by_bucket = {one.split: [0] * 2**bits for one in files}
    for index, one in enumerate(files):
        length = one.end_bucket - one.first_bucket
        by_bucket[one.split][one.first_bucket : one.end_bucket] = [index] * length
    cases = " ".join(
        f"WHEN '{split}' THEN {literal(indices, 'array<int>')}[_bucket]"
        for split, indices in by_bucket.items()
    )
    starts = literal([one.first_position for one in files], "array<bigint>")
    columns = [quoted(name) for name in df.columns if name != "_split"]
    in_order = f"_hash, {', '.join(quoted(name) for name in grain)}"
    return (
        df.selectExpr(
            "*", f"{key_hash(grain, _SALT)} AS _hash", f"{bucket(grain, bits)} AS _bucket"
        )
        .selectExpr("*", f"CASE _split {cases} END AS _file")
        .selectExpr("*", f"{literal(keys, 'array<int>')}[_file] AS _partition")
        .repartition(len(files), "_partition")
        .selectExpr(
            "_split",
            f"{starts}[_file] - 1 + row_number() OVER "
            f"(PARTITION BY _split, _partition ORDER BY {in_order}) AS _position",
            *columns,
        )
        .sortWithinPartitions("_split", "_position")
    )


def partition_keys(num_partitions: int) -> list[int]:
    """Return one integer for each partition that Spark's hash partitioning sends there.

    Spark partitions by Murmur3(value, seed 42) mod the number of partitions. Choosing the values
    makes it put every file's rows, and nothing else, into one partition.
    """
    keys: dict[int, int] = {}
    candidate = 0
    while len(keys) < num_partitions:
        keys.setdefault(_murmur3(candidate) % num_partitions, candidate)
        candidate += 1
    return [keys[partition] for partition in range(num_partitions)]


def _murmur3(value: int, seed: int = 42) -> int:
    """Return Spark's hash of an int: Murmur3 x86 32 bit of its four bytes, signed."""
    mask = 0xFFFFFFFF

    def rotated(word: int, by: int) -> int:
        return ((word << by) | (word >> (32 - by))) & mask

    word = rotated((value * 0xCC9E2D51) & mask, 15) * 0x1B873593 & mask
    state = (rotated(seed ^ word, 13) * 5 + 0xE6546B64) & mask
    state ^= 4
    state = (state ^ (state >> 16)) * 0x85EBCA6B & mask
    state = (state ^ (state >> 13)) * 0xC2B2AE35 & mask
    state ^= state >> 16
    return state - 2**32 if state >= 2**31 else state


def more_bits(bits: int, file_rows: int) -> int:
    """Return the next finer number of bits; raises FeatureError where there is none."""
    if bits >= LARGEST_BITS:
        raise FeatureError(
            f"files of {file_rows:,} rows are too small for the hash order: some of 2**{bits} "
            "buckets hold more. Raise `normalize.file_rows`, and check that no two rows have the "
            "same key and date."
        )
    return min(bits + 4, LARGEST_BITS)


@contextmanager
def row_groups(spark: SparkSession, rows: int, schema: StructType) -> Iterator[None]:
    """Let Parquet close a row group after exactly `rows` rows while the context is open.

    Columns of floats are written without a dictionary: scaled numbers seldom repeat, and Parquet
    then keeps a dictionary of a whole row group's values beside them. Reading such a column takes
    twice the time of plain numbers.

    This Parquet knows no limit by rows. It looks at a row group's size after a number of rows that
    can be set, and closes it when it is above a size that can be set as well: to one byte here.
    (It warns of each; the Spark profiles silence that.) Delta hands no write option on to
    Parquet, but every setting of the session.
    """
    settings = {
        "parquet.block.size": "1",
        "parquet.page.size.row.check.min": str(rows),
        "parquet.page.size.row.check.max": str(rows),
        **{f"parquet.enable.dictionary#{path}": "false" for path in _float_paths(schema)},
    }
    with session_settings(spark, settings):
        yield


def _float_paths(schema: StructType) -> Iterator[str]:
    """Yield the Parquet paths of columns of floats and of arrays of floats."""
    for field in schema:
        match field.dataType.simpleString():
            case "float":
                yield field.name
            case "array<float>":
                yield f"{field.name}.list.element"
