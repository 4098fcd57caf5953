"""Records of CSV files as a frame: a census of each file first, then its pieces are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from pipelines.config.ingest import Source
from pipelines.ingest.csv_batches import read_batches
from pipelines.ingest.csv_census import Layout, take_census
from pipelines.ingest.csv_reading import Reading
from pipelines.ingest.dialect import Dialect
from pipelines.ingest.drift import BadFile
from pipelines.ingest.files import LandingFile
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_FEW_BYTES = 32 * 2**20
_BYTES_PER_TASK = 8 * 2**20
_FILES_PER_TASK = 500
_THREADS = 8


def take_censuses(
    spark: SparkSession, files: Sequence[LandingFile], source: Source
) -> list[Layout | str]:
    """Return what each file holds, or the reason why it can't be read.

    Few bytes are looked at right here, in less time than a Spark job takes; more by Spark's tasks.
    """
    dialect = Dialect.of(source.options)

    def look(uri: str) -> Layout | str:
        try:
            return take_census(uri, dialect)
        except BadFile as finding:
            return str(finding)

    uris = [file.uri for file in files]
    if sum(file.length for file in files) <= _FEW_BYTES:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="census") as threads:
            return list(threads.map(look, uris))
    tasks = max(spark.sparkContext.defaultParallelism, len(files) // _FILES_PER_TASK)
    found: list[Layout | str] = (
        spark.sparkContext.parallelize(uris, min(len(files), tasks)).map(look).collect()
    )
    return found


def read_csv(spark: SparkSession, found: Sorted, source: Source) -> DataFrame:
    """Read all files: the columns, `_number` (of `found.files`), `_row`, `_reason` and `_raw`."""
    tasks = list(_tasks(_readings(found, Dialect.of(source.options))))

    def read(batches: Iterable[Any]) -> Iterable[Any]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for reading in tasks[number]:
                    yield from read_batches(reading)

    numbers = spark.range(0, len(tasks), 1, len(tasks))
    return numbers.mapInArrow(read, _schema(list(found.columns)))


def _schema(columns: Sequence[str]) -> StructType:
    texts = [T.StructField(name, T.StringType()) for name in columns]
    numbers = [T.StructField(name, T.LongType()) for name in ("_number", "_row")]
    said = [T.StructField(name, T.StringType()) for name in ("_reason", "_raw")]
    return T.StructType([*texts, *numbers, *said])


def _readings(found: Sorted, dialect: Dialect) -> Iterator[tuple[Reading, int]]:
    """Yield what is to be read, each with about how many bytes it has."""
    numbers = {file: number for number, file in enumerate(found.files)}
    for header, files in found.groups.items():
        # Columns that the file lacks have no place in it.
        where = {name: place for place, name in reversed(list(enumerate(header)))}
        places = tuple(where.get(name, -1) for name in found.columns)
        for file in files:
            layout = found.layouts[file]
            for piece in layout.pieces:
                length = piece.length or file.length
                yield Reading(file.uri, numbers[file], dialect, layout, piece, places), length


def _tasks(readings: Iterator[tuple[Reading, int]]) -> Iterator[list[Reading]]:
    task: list[Reading] = []
    size = 0
    for reading, length in readings:
        if task and (size + length > _BYTES_PER_TASK or len(task) >= _FILES_PER_TASK):
            yield task
            task, size = [], 0
        task.append(reading)
        size += length
    if task:
        yield task
