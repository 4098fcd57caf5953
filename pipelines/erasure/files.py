"""Files of a table, live or not: which hold a subject's rows, and at which versions they lived."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark.sql import functions as F

from pipelines.erasure.search import FILE, Search, found_directly, found_typed
from pipelines.ingest.files import literal
from pipelines.lake.column_mapping import ColumnMapping
from pipelines.lake.delta_log import LOG, read_state
from pipelines.lake.files import StoredFile, list_files, write_bytes
from pipelines.lake.log_text import documents
from pipelines.lake.storage import TableFiles, decoded
from pipelines.lake.tenant import confine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_CHANGES = "_change_data/"
_COMMIT = re.compile(r"(\d{20})\.json")


def live_files(place: str) -> frozenset[str]:
    """Return the names of a table's live data files."""
    state = read_state(TableFiles(place))
    return frozenset(decoded(add["path"]) for add in state.adds.values())


def files_holding(spark: SparkSession, place: str, search: Search) -> set[str]:
    """Return the names of all data and change files of a table that hold the subject's rows.

    Rows count that a deletion vector hides: they are in the file.
    """
    stored = {n: f for n, f in list_files(spark, place).items() if n.endswith(".parquet")}
    mapping = ColumnMapping.of(read_state(TableFiles(place)).metadata)
    names = {physical: name for name, physical in mapping.names.items()}
    found: set[str] = set()
    for is_change in (False, True):
        part = {n: f for n, f in stored.items() if n.startswith(_CHANGES) == is_change}
        base = f"{place}/{_CHANGES.rstrip('/')}" if is_change else place
        try:
            found |= _holding(spark, base, part, search, names)
        except Exception as error:
            if not type(error).__module__.startswith(("pyspark.", "py4j.")):
                raise
            # Types that changed over time don't go into one frame: file by file then.
            for name, file in part.items():
                found |= _holding(spark, base, {name: file}, search, names)
    return found


def _holding(
    spark: SparkSession,
    base: str,
    files: dict[str, StoredFile],
    search: Search,
    columns: dict[str, str],
) -> set[str]:
    """Search files; `columns` are the table's names for what they call otherwise."""
    if not files:
        return set()
    names = {name.rpartition("/")[2]: name for name in files}
    paths = [literal(file.uri) for file in files.values()]
    session = spark.newSession()
    # A partition's value is a text in its folder's name: 007 is not 7.
    session.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    reader = session.read.option("basePath", base).option("mergeSchema", "true")
    rows = (
        reader.parquet(*paths)
        .withColumnsRenamed(columns)
        .withColumn(FILE, F.col("_metadata.file_name"))
    )
    frames: list[DataFrame] = found_typed(rows, search)
    direct = found_directly(rows, search)
    if direct is not None:
        frames.append(direct)
    hits = [row[0] for frame in frames for row in frame.select(FILE).distinct().collect()]
    return {names[unquote(hit)] for hit in hits}


def versions_with(place: str, files: frozenset[str]) -> tuple[int, int]:
    """Return the first and the last version that had one of the files."""
    first, last, version = None, -1, -1
    for version, actions in _commits(place):
        for action in actions:
            for kind in ("add", "cdc", "remove"):
                path = action.get(kind, {}).get("path")
                if path is None or unquote(path) not in files:
                    continue
                first = version if first is None else first
                last = max(last, version - 1 if kind == "remove" else version)
    # Where its beginning was cleaned away, the log can't say when a file came.
    return (0 if first is None else first), (version if last < 0 else last)


def _commits(place: str) -> Iterable[tuple[int, list[dict[str, Any]]]]:
    log = TableFiles(place)
    for name in sorted(log.names(LOG)):
        match = _COMMIT.fullmatch(name)
        if match:
            content = log.read(f"{LOG}/{name}")
            yield int(match[1]), [action for _, action in documents(content, f"{place}/{name}")]


def overwrite(spark: SparkSession, uri: str, content: bytes) -> None:
    """Put another content in a file's place, such that a reader sees the old or the new one."""
    confine(uri)
    write_bytes(spark, uri, content)
