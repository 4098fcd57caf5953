"""Lines of compressed JSON files, counted by another reader than the one that reads them.

Hadoop's readers take what they understand of a compressed file: of some kinds the first of several
pieces, of a foreign frame a size that fills Java's memory. So Python unpacks a file first.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pipelines.ingest.drift import BadFile
from pipelines.ingest.files import LandingFile
from pipelines.ingest.opened import is_packed, read_chunks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FEW_BYTES = 8 * 2**20
_THREADS = 8
_OTHERS = (".xz", ".lz4")
_OTHER = "JSON is not read from {ending} files; deliver it compressed as .gz, or not at all"


def packed_lines(spark: SparkSession, files: Sequence[LandingFile]) -> dict[LandingFile, int | str]:
    """Return of each compressed file how many lines it has, or why it can't be read."""
    packed = [file for file in files if is_packed(file.uri)]
    if not packed:
        return {}
    uris = [file.uri for file in packed]
    if sum(file.length for file in packed) <= _FEW_BYTES:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="packed") as threads:
            found = list(threads.map(count_lines_of, uris))
    else:
        found = spark.sparkContext.parallelize(uris, len(uris)).map(count_lines_of).collect()
    return dict(zip(packed, found, strict=True))


def count_lines_of(uri: str) -> int | str:
    """Return how many lines a compressed file has, or why it can't be read."""
    if uri.endswith(_OTHERS):
        return _OTHER.format(ending=uri[uri.rindex(".") :])
    lines, last = 0, b"\n"
    try:
        for chunk in filter(None, read_chunks(uri)):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    except BadFile as finding:
        return str(finding)
    return lines + (last != b"\n")


def other_count(found: int, expected: int) -> str:
    """Say that the lines read of a file are not those it has."""
    return (
        f"damaged: {found:,} lines of it are read where {expected:,} are. It may be compressed in "
        "several pieces, of which the first alone is read; compress it in one"
    )
