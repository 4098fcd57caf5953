"""A table's files as `ingest` reads them, before there is a pipeline: nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.column_names import column_name
from pipelines.config.ingest import Source
from pipelines.errors import LandingError
from pipelines.ingest.files import LandingFile, check_letters
from pipelines.ingest.json_records import count_lines
from pipelines.ingest.local_files import link_of
from pipelines.ingest.opened import read_chunks
from pipelines.ingest.records import read_records, sort_out
from pipelines.ingest.types import TypeSplit
from pipelines.profiling.files import DataFile, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NO_KEY = "tidemill_no_such_key"
MANY_KEYS = 2_000


@dataclass(frozen=True)
class Read:
    """The rows of a table's files, as bronze would have them, and what would be put aside."""

    source: dict[str, Any]
    """Settings of the source, as `pipeline.yml` has them."""
    rows: DataFrame
    headers: Mapping[str, str]
    """What the files call each column."""
    rejected: Mapping[str, str]
    malformed: int


def read_table(spark: SparkSession, table: Table, files: Sequence[DataFile]) -> Read:
    """Read `files` of a table. Raises LandingError where none of them can be read."""
    landed = [_landing_file(spark, file) for file in files]
    first = table.files[0]
    settings: dict[str, Any] = {"path": table.path}
    if table.format != "csv":
        settings["format"] = table.format
    settings |= _written(first)
    names = table.names or _json_keys(spark, landed, table)
    settings |= _named(names)
    if table.drifts:
        settings["schema_drift"] = "add"
    source = Source.model_validate(settings)
    found = sort_out(spark, landed, source)
    if table.format == "parquet":
        found = TypeSplit(spark, source, None, ()).split(found)
    rejected = {file.path: why for file, why in found.rejected.items()}
    if not found.groups:
        path, why = next(iter(rejected.items()))
        raise LandingError(f"none of the {len(landed)} files can be read, {path}: {why}")
    records = read_records(spark, found, source)
    rows = records.where("_reason IS NULL").persist()
    malformed = records.where("_reason IS NOT NULL").count()
    headers = {name: source.header_of(name) for name in source.columns}
    return Read(settings, rows, headers, rejected, malformed)


def _landing_file(spark: SparkSession, file: DataFile) -> LandingFile:
    check_letters(spark, file.path)
    found = file.found
    uri = f"file:{found.path}"
    return LandingFile(file.path, found.modified_ms, found.length, uri, link_of(found.path))


def _written(file: DataFile) -> dict[str, Any]:
    """Return `options` of a source, those that differ from the defaults."""
    options = {}
    if file.encoding is not None and file.encoding.value != "utf-8":
        options["encoding"] = file.encoding.value
    if file.separator is not None and file.separator.value != ",":
        options["sep"] = {"\t": "\\t"}.get(file.separator.value, file.separator.value)
    return {"options": options} if options else {}


def _named(names: Sequence[str]) -> dict[str, Any]:
    """Return `columns`, and `headers` for names that would become a column twice."""
    columns: list[str] = []
    headers: dict[str, str] = {}
    seen: dict[str, str] = {}
    times: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        made = column_name(name, position)
        number = times[name] = times.get(name, 0) + 1
        if number > 1:
            made = f"{made}_{number}"
            columns.append(made)
        elif made.lower() in seen:
            unlike = next(
                f"{made}_{n}" for n in range(2, 1000) if f"{made}_{n}".lower() not in seen
            )
            headers[unlike] = name
            columns.append(unlike)
            made = unlike
        else:
            columns.append(name.strip() or made)
        seen[made.lower()] = name
    return {"columns": columns, **({"headers": headers} if headers else {})}


def _json_keys(spark: SparkSession, files: Sequence[LandingFile], table: Table) -> tuple[str, ...]:
    """Return all keys of a table's records: the first one's in its order, then the others."""
    source = Source(path=table.path, format="json", columns=(_NO_KEY,))
    keys: set[str] = set()
    for census in count_lines(spark, files, source):
        keys |= census.keys
    if not keys or len(keys) > MANY_KEYS:
        raise LandingError(
            f"{files[0].path} and its like have {len(keys):,} keys; expected a JSON object a line, "
            f"with {MANY_KEYS:,} keys at most in all. Values over many lines, and names that are "
            "data, can't be read as a table."
        )
    first = [key for key in _first_keys(files[0].uri) if key in keys]
    return (*first, *sorted(keys - set(first)))


def _first_keys(uri: str) -> list[str]:
    """Return the keys of a file's first record, none where its first line is none."""
    text = b""
    for chunk in read_chunks(uri):
        text += chunk
        if b"\n" in text.lstrip():
            break
    try:
        record = json.loads(text.decode("utf-8-sig").strip().partition("\n")[0])
    except ValueError:
        return []
    return list(record) if isinstance(record, dict) else []


def project_path(root: Path, folder: Path) -> str:
    """Return how settings name a folder: from the project's root where it lies below it."""
    try:
        return str(folder.resolve().relative_to(root.resolve())) or "."
    except ValueError:
        return str(folder.resolve())
