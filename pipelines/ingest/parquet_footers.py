"""What Parquet files say of themselves: their columns, how many rows, which columns hold nothing.

Files are opened from the driver through Hadoop, on any store, a few at a time; no Spark job.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.files import LandingFile
from pipelines.ingest.ledger import UNREADABLE
from pipelines.ingest.parquet_leaves import values_in_lists
from pipelines.ingest.unreadable import reason_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_THREADS = 8
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_LIST = ".list.element"
_NANOS = re.compile(
    r"(?:optional|required) int64 (.*) \(TIMESTAMP\(NANOS,(true|false)\)\)(?: = \d+)?"
)


@dataclass(frozen=True)
class Footer:
    """`fields` are the columns with their types, as Parquet writes them."""

    names: tuple[str, ...]
    fields: tuple[str, ...]
    num_rows: int
    in_lists: tuple[int, ...] = ()
    """Of each leaf the number of values, where some are in lists or maps."""


class Footers:
    """Opens footers in the JVM. Its classes are looked up once: each look-up is a round trip."""

    def __init__(self, spark: SparkSession, source: Source) -> None:
        jvm: Any = spark.sparkContext._jvm
        self._source = source
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()
        self._path = jvm.org.apache.hadoop.fs.Path
        self._input_file = jvm.org.apache.parquet.hadoop.util.HadoopInputFile
        self._reader = jvm.org.apache.parquet.hadoop.ParquetFileReader
        self._options = jvm.org.apache.parquet.HadoopReadOptions
        self._judged: dict[str, tuple[tuple[str, ...], tuple[str, ...]] | BadFile] = {}

    def read(self, files: Sequence[LandingFile]) -> list[Footer | str]:
        """Return, file by file, its footer, or why the file is put aside."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="footer") as threads:
            return list(threads.map(self._judge, files))

    def without_values(
        self, files: Sequence[LandingFile], names: Collection[str]
    ) -> list[tuple[set[str], set[str]]]:
        """Return which of some columns hold no value in a file, and of which it does not say."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="footer") as threads:
            return list(threads.map(lambda file: self._empty(file, names), files))

    def _empty(self, file: LandingFile, names: Collection[str]) -> tuple[set[str], set[str]]:
        from py4j.protocol import Py4JError

        left, unsaid, renamed = set(names), set[str](), self._source.renamed
        try:
            with self._open(file) as reader:
                for block in reader.getRowGroups():
                    for column in block.getColumns() if left else ():
                        name = str(column.getPath().toDotString()).removesuffix(_LIST)
                        name = renamed.get(name, name)
                        if name in left:
                            is_empty = _is_empty(column)
                            unsaid.update([name] if is_empty is None else [])
                            left.difference_update([name] if is_empty is False else [])
        except (Py4JError, BadFile):
            return set(), set()
        return left - unsaid, left & unsaid

    def _judge(self, file: LandingFile) -> Footer | str:
        from py4j.protocol import Py4JError

        try:
            with self._open(file) as reader:
                schema = reader.getFileMetaData().getSchema()
                text = str(schema.toString())
                if text not in self._judged:
                    self._judged[text] = self._columns(schema)
                judged = self._judged[text]
                if isinstance(judged, BadFile):
                    return str(judged)
                num_rows = int(reader.getRecordCount())
                in_lists = values_in_lists(reader)
            with self._open(file, in_range=True) as reader:
                reached = int(reader.getRecordCount())
            if reached != num_rows:
                # Spark reads what begins within the file's bytes, and passes over the rest.
                return f"damaged: {num_rows - reached:,} of its {num_rows:,} rows lie outside of it"
            return Footer(*judged, num_rows, in_lists)
        except BadFile as finding:
            return str(finding)
        except Py4JError as error:
            return f"no Parquet file: {reason_of(error)}"

    def _columns(self, schema: Any) -> tuple[tuple[str, ...], tuple[str, ...]] | BadFile:
        fields = [schema.getType(place) for place in range(schema.getFieldCount())]
        renamed = self._source.renamed
        raw = [str(field.getName()) for field in fields]
        names = tuple(renamed.get(name, name) for name in raw)
        try:
            judge_names([name for name in names if not is_pandas_index(name)], self._source)
        except BadFile as finding:
            return finding
        texts = (str(field.toString()) for field in fields)
        return names, tuple(map(_called, texts, raw, names))

    @contextmanager
    def _open(self, file: LandingFile, *, in_range: bool = False) -> Iterator[Any]:
        from py4j.protocol import Py4JError

        try:
            path = self._input_file.fromPath(self._path(file.uri), self._conf)
            options = self._options.builder(self._conf)
            options = options.withRange(0, file.length) if in_range else options
            reader = self._reader.open(path, options.build())
        except Py4JError as error:
            why = reason_of(error)
            is_there = not why.startswith(UNREADABLE)
            raise BadFile(f"no Parquet file: {why}" if is_there else why) from error
        try:
            yield reader
        finally:
            reader.close()


def _called(field: str, raw: str, name: str) -> str:
    """Return a field as Parquet writes it (`optional int64 its name (...)`), under another name."""
    if raw == name:
        return field
    repeated, kind, rest = field.split(" ", 2)
    return f"{repeated} {kind} {name}{rest.removeprefix(raw)}"


def is_pandas_index(name: str) -> bool:
    """Tell whether a column is row labels that pandas wrote along unasked."""
    return _PANDAS_INDEX.fullmatch(name) is not None


def nanosecond_columns(fields: Sequence[str]) -> dict[str, bool]:
    """Return the columns of times in nanoseconds, and whether they are in UTC."""
    matches = (_NANOS.fullmatch(field) for field in fields)
    return {match[1]: match[2] == "true" for match in matches if match}


def nested_nanoseconds(names: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Return the columns with times in nanoseconds inside a nested value."""
    plain = nanosecond_columns(fields)
    pairs = zip(names, fields, strict=True)
    return [name for name, field in pairs if "TIMESTAMP(NANOS," in field and name not in plain]


def _is_empty(column: Any) -> bool | None:
    """Tell whether a chunk of a column holds nulls alone; None where it keeps no such figure."""
    statistics = column.getStatistics()
    num_values = column.getValueCount()
    if not num_values:
        return True
    if statistics is None or not statistics.isNumNullsSet():
        return None
    return bool(statistics.getNumNulls() == num_values)
