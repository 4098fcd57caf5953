"""Times in Parquet's old type INT96: nanoseconds, of which Spark cuts off what a table can't keep.

Spark has no way to read them whole, so another reader looks for what would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.errors import LandingError
from pipelines.ingest.drift import BadFile, quoted
from pipelines.ingest.files import LandingFile
from pipelines.ingest.opened import open_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_INT96 = re.compile(r"\bint96 ")
_FEW_BYTES = 32 * 2**20
_ROWS, _THREADS = 64 * 1024, 8


def int96_columns(names: Sequence[str], fields: Sequence[str]) -> tuple[str, ...]:
    """Return the columns with such times in them, be it inside a nested value."""
    pairs = zip(names, fields, strict=True)
    return tuple(name for name, field in pairs if _INT96.search(field))


def find_losses(
    spark: SparkSession, files: Sequence[tuple[LandingFile, tuple[str, ...]]], source: Source
) -> dict[LandingFile, str]:
    """Return the files some of whose columns, named with them, have more than microseconds."""

    def look(one: tuple[str, tuple[str, ...]]) -> str:
        uri, columns = one
        try:
            lossy = lossy_columns(uri, columns)
        except BadFile as finding:
            return str(finding)
        if not lossy:
            return ""
        return (
            f"{quoted(lossy)} has nanoseconds in the type INT96, of which a table keeps "
            "microseconds. Deliver them as a 64-bit number or a text, or cut to microseconds"
        )

    given = [(file.uri, tuple(map(source.header_of, columns))) for file, columns in files]
    if sum(file.length for file, _ in files) <= _FEW_BYTES:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="int96") as threads:
            found = list(threads.map(look, given))
    else:
        found = spark.sparkContext.parallelize(given, len(given)).map(look).collect()
    return {file: why for (file, _), why in zip(files, found, strict=True) if why}


def lossy_columns(uri: str, columns: Sequence[str]) -> list[str]:
    """Return those of a file's columns in which a time has digits below the microsecond.

    Raises BadFile where the file can't be read.
    """
    import pyarrow as pa

    found: set[str] = set()
    try:
        for nanos, micros in zip(_read(uri, "ns", columns), _read(uri, "us", columns), strict=True):
            for name in nanos.schema.names:
                if _loses(nanos.column(name), micros.column(name)):
                    found.add(name)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, LandingError):
            raise
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadFile(f"damaged: {said[:200]}") from error
    return sorted(found)


def _read(uri: str, unit: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    from pyarrow import parquet

    with open_bytes(uri) as stream:
        file = parquet.ParquetFile(stream, coerce_int96_timestamp_unit=unit)
        there = {path.partition(".")[0] for path in _paths(file)}
        wanted = [name for name in columns if name in there]
        for group in range(file.num_row_groups):
            yield from file.iter_batches(_ROWS, [group], columns=wanted, use_threads=False)


def _paths(file: Any) -> list[str]:
    return [file.schema.column(place).path for place in range(len(file.schema))]


def _loses(nanos: pa.Array, micros: pa.Array) -> bool:
    """Tell whether times read as nanoseconds are others than the same ones read as microseconds.

    Nanoseconds reach from 1677 to 2262; beyond, both are compared as they overflow. Arrow itself
    writes times before 1970 by negative hours of a day, which it reads as microseconds wrongly.
    """
    import numpy as np
    import pyarrow as pa

    for whole, cut in zip(_leaves(nanos), _leaves(micros), strict=True):
        if not pa.types.is_timestamp(whole.type):
            continue
        ns, us = (one.drop_null().view("int64").to_numpy() for one in (whole, cut))
        is_same = ns == us * np.int64(1000)
        is_by_arrow = (ns % 1000 == 0) & (us - ns // 1000 == 2**64 // 1000)
        if not (is_same | is_by_arrow).all():
            return True
    return False


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Yield the arrays of plain values that a nested one is made of."""
    import pyarrow as pa

    if pa.types.is_struct(array.type):
        for one in array.flatten():
            yield from _leaves(one)
    elif pa.types.is_map(array.type):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _leaves(array.flatten())
    else:
        yield array
