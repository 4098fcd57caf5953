"""`tidemill init`: looks at a folder, and makes the plan of a pipeline that fits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import LandingError, UsageError, nearest
from pipelines.ingest.session import quiet_session
from pipelines.lake.session import session_settings
from pipelines.profiling.asked import Asked
from pipelines.profiling.choose import choose_day, choose_key, choose_label, choose_split
from pipelines.profiling.columns import typed_columns
from pipelines.profiling.facts import TableFacts
from pipelines.profiling.features import LeftOut
from pipelines.profiling.files import DataFile, Folder, Table, look_into, sampled
from pipelines.profiling.gather import columns_of, gather, taken_apart
from pipelines.profiling.inputs import Roles, choose_inputs
from pipelines.profiling.names import plain_name
from pipelines.profiling.plan import Key, Plan, check_rows
from pipelines.profiling.read import Read, project_path, read_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_BYTES = 512 * 2**20
"""Bytes of a table's files that are looked at; of larger tables some files are."""
_FEW_ROWS = 200_000
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Of few rows more time goes into compiling what reads them than into reading them."""
_SHOWN = 20
Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Look:
    """A folder, the table in it, the files looked at, and their rows."""

    folder: Folder
    table: Table
    files: Sequence[DataFile]
    read: Read

    @property
    def aside(self) -> dict[str, str]:
        """What is not read, and why."""
        others = {
            table.path: f"another table ({len(table.files)} files): name its source, and join it "
            "in features.sql"
            for table in self.folder.tables
            if table is not self.table
        }
        return {**self.folder.aside, **self.read.rejected, **others}


def find_table(asked: Asked) -> tuple[Folder, Table]:
    """Return what the folder holds, and the table to begin with, without Spark.

    Raises LandingError for files that can't be read, UsageError for a label that none has.
    """
    folder = look_into(asked.folder)
    return folder, _table(folder.tables, asked)


def draft(spark: SparkSession, asked: Asked, found: tuple[Folder, Table], tell: Tell) -> Plan:
    """Return the plan. Raises LandingError for files, UsageError for options that don't fit."""
    folder, table = found
    files = sampled(table.files, MOST_BYTES)
    spark = quiet_session(spark)
    tell(f"reading {len(files)} of {len(table.files)} files of {table.path}")
    read = read_table(spark, table, files)
    num_rows = read.rows.count()
    if not num_rows:
        raise LandingError(f"{len(files)} files of {table.path} hold no rows; nothing to look at.")
    tell(f"counting values of {num_rows:,} rows")
    with session_settings(spark, _INTERPRETED if num_rows < _FEW_ROWS else {}):
        plan = _plan(_Look(folder, table, files, read), num_rows, asked, tell)
    read.rows.unpersist()
    return plan


def _plan(look: _Look, num_rows: int, asked: Asked, tell: Tell) -> Plan:
    read = look.read
    rows, found_columns = read.rows, columns_of(read.rows, num_rows, read.headers)
    if look.table.format == "json":
        rows, found_columns = taken_apart(rows, found_columns)
    facts = gather(rows, found_columns, read.malformed)
    columns = typed_columns(rows, facts, asked.day_first)
    facts = replace(facts, columns=tuple(one.column for one in columns.values()))
    tell(f"{len(columns)} columns have a type; looking for label, day and key")
    label_name, label = choose_label(columns, asked)
    try:
        check_rows(label_name, label.typed.present)
    except ValueError as error:
        raise UsageError(f"{error}. Name another label, or bring more rows.") from None
    day = choose_day(columns, label_name, asked)
    key = choose_key(rows, facts, columns, day, label_name, asked)
    split, split_why = choose_split(rows, columns, day, label, asked)
    found = choose_inputs(rows, facts, columns, Roles(label_name, label, key, day))
    return Plan(
        name=asked.name,
        landing=project_path(asked.root, asked.folder),
        source=_source(read, key),
        source_why=_source_why(look),
        facts=facts,
        columns=columns,
        key=key,
        day=day,
        label_name=label_name,
        label=label,
        features=found.features,
        left_out=found.left_out,
        split=split,
        split_why=split_why,
        relations=found.relations,
        aside=look.aside,
        notes=_notes(facts, look, found.left_out),
    )


def _table(tables: Sequence[Table], asked: Asked) -> Table:
    """Return the table with the label; without one, the largest."""
    if asked.label is None:
        return tables[0]
    wanted = plain_name(asked.label)
    for table in tables:
        if not table.names or wanted in {plain_name(name) for name in table.names}:
            return table
    known = [name for table in tables for name in table.names]
    raise UsageError(
        f"--label {asked.label}: no file has such a column.{nearest(asked.label, known)} Known are "
        f"{', '.join(known[:_SHOWN])}."
    )


def _source(read: Read, key: Key) -> dict[str, Any]:
    """Return the source's settings: rows that come again under their key replace older ones."""
    delivery: dict[str, Any] = {"delivery": "upsert"} if key.columns else {}
    first: dict[str, Any] = {
        name: read.source[name] for name in ("path", "format") if name in read.source
    }
    rest = {name: value for name, value in read.source.items() if name not in first}
    return {**first, **delivery, **rest}


def _source_why(look: _Look) -> Mapping[str, str]:
    table, first = look.table, look.table.files[0]
    num_files = len(table.files)
    looked = "" if len(look.files) == num_files else f", {len(look.files)} of them looked at"
    why = {
        "path": f"{num_files:,} file{'s' * (num_files > 1)}, {table.num_bytes:,} bytes{looked}",
        "delivery": "a row that comes again, with its key, replaces the older one",
        "schema_drift": "some files lack columns that others have",
    }
    if first.encoding is not None and first.separator is not None:
        why["options"] = f"{first.encoding.why}; {first.separator.why}"
    return why


def _values_in(path: str) -> list[str]:
    """Return the folders of a path that are called as Hive calls partitions: `year=2024`."""
    return [part for part in path.split("/")[:-1] if "=" in part]


def _notes(facts: TableFacts, look: _Look, left_out: Sequence[LeftOut]) -> list[str]:
    notes = []
    if len(look.files) < len(look.table.files):
        said = f"{len(look.files)} of {len(look.table.files)} files"
        notes.append(f"looked at {said} only, since the table is large")
    if folders := sorted({part for file in look.table.files for part in _values_in(file.path)}):
        notes.append(
            f"the folders' names ({', '.join(folders[:3])}) hold values that are in no file: they "
            "are not read"
        )
    if facts.malformed:
        notes.append(f"{facts.malformed:,} malformed records; `ingest` will put them aside")
    notes += [f"{one.name}: {one.why}" for one in left_out if one.why.startswith("a leak")]
    notes += [f"not read: {path}: {why}" for path, why in list(look.aside.items())[:5]]
    return notes
