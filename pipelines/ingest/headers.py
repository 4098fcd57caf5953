"""What a file says about its own columns: a CSV file's header, a Parquet file's footer."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.files import LandingFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# An answer of more than 8 kB takes 40 ms on its way from the JVM (two packets, a delayed
# acknowledgement), a small one 0.3 ms. Few headers are longer than the first bite.
_FIRST_BITE = 2_048
_LONGEST_HEADER = 65_536
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate")
_THREADS = 8


def parse_header(first_line: str, options: dict[str, str]) -> tuple[str, ...]:
    """Split a header line into names, by the separator and quote of the reader's options."""
    separator = options.get("sep", options.get("delimiter", ","))
    quote = options.get("quote", '"')
    line = first_line.removeprefix("\ufeff").strip("\r\n")
    if len(separator) == 1:
        names = next(csv.reader([line], delimiter=separator, quotechar=quote or None), [])
    else:
        names = [name.strip(quote) for name in line.split(separator)]
    return tuple(name.strip() for name in names)


def first_line(content: bytes, is_whole: bool, options: dict[str, str]) -> str | None:
    """Return the first line that is not blank; None where `content` ends before that line does.

    Raises BadFile where the bytes are no text of the file's encoding.
    """
    encoding = options.get("encoding", options.get("charset", "utf-8"))
    wrong = BadFile(f"its header is no {encoding} text; expected that, or `options.encoding` set")
    if b"\0" in content and not re.search("16|32", encoding):
        raise BadFile("no text: there are zero bytes at its beginning")
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        body = decoder.decode(content).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise wrong from error
    end = options.get("lineSep")
    lines = body.split(end) if end else re.split("\r\n|\n|\r", body)
    comment = options.get("comment")
    # A file's last line is a line even without an end; what a limit cut off is none.
    for line in lines if is_whole else lines[:-1]:
        if line.strip() and not (comment and line.startswith(comment)):
            if re.search("[\udc80-\udcff]", line):
                raise wrong
            return line
    return None


def csv_header(read: Callable[[int], tuple[bytes, bool]], source: Source) -> tuple[str, ...]:
    """Return the names in a CSV file's header, in its order; raise BadFile where they don't fit.

    `read(limit)` gives the first `limit` bytes and whether the file ends there.
    """
    for limit in (_FIRST_BITE, _LONGEST_HEADER):
        content, is_whole = read(limit)
        line = first_line(content, is_whole, source.options)
        if line is not None:
            names = parse_header(line, source.options)
            judge_names(names, source)
            return names
        if is_whole:
            raise BadFile("the file is empty: it has no header")
    raise BadFile(f"no header: its first line is longer than {_LONGEST_HEADER:,} bytes")


def read_headers(
    spark: SparkSession, files: Sequence[LandingFile], source: Source
) -> list[tuple[str, ...] | str]:
    """Return, file by file, its columns in their order (Parquet: with types), or a reason.

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
        self._codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._conf)
        self._bounded = jvm.org.apache.commons.io.input.BoundedInputStream
        self._to_bytes = jvm.org.apache.commons.io.IOUtils.toByteArray
        self._input_file = jvm.org.apache.parquet.hadoop.util.HadoopInputFile
        self._footer = jvm.org.apache.parquet.hadoop.ParquetFileReader

    def judge(self, file: LandingFile) -> tuple[str, ...] | str:
        try:
            if self._source.format == "csv":
                return csv_header(lambda limit: self._head(file, limit), self._source)
            return self._parquet(file)
        except BadFile as finding:
            return str(finding)

    def _head(self, file: LandingFile, limit: int) -> tuple[bytes, bool]:
        from py4j.protocol import Py4JJavaError

        path = self._path(file.uri)
        stream = path.getFileSystem(self._conf).open(path)
        try:
            if file.uri.endswith(_COMPRESSED) and (codec := self._codecs.getCodec(path)):
                stream = codec.createInputStream(stream)
            content = bytes(self._to_bytes(self._bounded(stream, limit)))
        except Py4JJavaError as error:
            raise BadFile(f"can't be read: {_what(error)}") from error
        finally:
            stream.close()
        return content, len(content) < limit

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
