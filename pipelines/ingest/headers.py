"""What a Parquet file says about its own columns, in its footer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.files import LandingFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_THREADS = 8


def read_headers(
    spark: SparkSession, files: Sequence[LandingFile], source: Source
) -> list[tuple[str, ...] | str]:
    """Return, file by file, its columns with types, or a reason.

    Files are opened from the driver through Hadoop, on any store, a few at a time; no Spark job.
    """
    look = _Look(spark, source)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="header") as threads:
        return list(threads.map(look.judge, files))


class _Look:
    """Opens files in the JVM. Its class names are looked up once: each look-up is a round trip."""

    def __init__(self, spark: SparkSession, source: Source) -> None:
        jvm: Any = spark.sparkContext._jvm
        self._source = source
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()
        self._path = jvm.org.apache.hadoop.fs.Path
        self._input_file = jvm.org.apache.parquet.hadoop.util.HadoopInputFile
        self._footer = jvm.org.apache.parquet.hadoop.ParquetFileReader

    def judge(self, file: LandingFile) -> tuple[str, ...] | str:
        try:
            return self._parquet(file)
        except BadFile as finding:
            return str(finding)

    def _parquet(self, file: LandingFile) -> tuple[str, ...]:
        from py4j.protocol import Py4JJavaError

        try:
            reader = self._footer.open(self._input_file.fromPath(self._path(file.uri), self._conf))
        except Py4JJavaError as error:
            raise BadFile(f"no Parquet file: {_what(error)}") from error
        try:
            schema = reader.getFileMetaData().getSchema()
            fields = [schema.getType(place) for place in range(schema.getFieldCount())]
            judge_names([str(field.getName()) for field in fields], self._source)
            return tuple(str(field.toString()) for field in fields)
        finally:
            reader.close()


def _what(error: Any) -> str:
    return str(error.java_exception.getMessage()).splitlines()[0][:200]
