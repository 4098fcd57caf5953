"""The live files of one version of a table: what a training reads, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import FeedError, SchemaError, UsageError, nearest
from pipelines.lake.column_mapping import ColumnMapping
from pipelines.lake.deletion_vector import DeletionVector
from pipelines.lake.statistics import statistics
from pipelines.lake.storage import TableFiles, decoded

if TYPE_CHECKING:
    from pipelines.lake.delta_log import Action, TableState

FORMAT_VERSION = 1
MAPPED_FORMAT_VERSION = 2
"""Of a snapshot of a table with column mapping: who knows only the first must not read it."""
POSITION = "_position"

PartitionFilter = Mapping[str, str | Sequence[str | None] | None]
"""Partition column to the value, or the values, that are wanted; None is null."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file of a snapshot.

    `path` is relative to the table or a URI; `num_rows` counts live rows, without deleted ones;
    `min_position` is the smallest `_position` in it, where the table has that column.
    """

    path: str
    num_rows: int
    min_position: int | None = None
    partition_values: Mapping[str, str | None] = field(default_factory=dict)
    deletion_vector: DeletionVector | None = None

    @property
    def num_stored_rows(self) -> int:
        """Rows in the file, deleted ones too."""
        vector = self.deletion_vector
        return self.num_rows + (vector.num_deleted if vector else 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live files of `table` (its URI) at `version`, as far as `where` holds for them.

    `schema` has the table's columns at that version with their Delta types (`float`, `long`,
    `array`, ...). `mapping` says what they are called in the files; `partition_values` of files go
    by the table's own names.
    """

    table: str
    version: int
    files: tuple[LiveFile, ...]
    where: Mapping[str, str | Sequence[str | None] | None] = field(default_factory=dict)
    schema: Mapping[str, str] = field(default_factory=dict)
    mapping: ColumnMapping = field(default_factory=ColumnMapping)
    partitioned_by: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        """Live rows in all files."""
        return sum(file.num_rows for file in self.files)

    def to_json(self) -> str:
        """Return the snapshot as one JSON object."""
        content = {
            "format_version": MAPPED_FORMAT_VERSION if self.mapping else FORMAT_VERSION,
            "table": self.table,
            "version": self.version,
            "where": dict(self.where),
            "schema": dict(self.schema),
            "partitioned_by": list(self.partitioned_by),
            "files": [_to_plain(file) for file in self.files],
        }
        if self.mapping:
            content["mapping"] = asdict(self.mapping)
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """Read what `to_json` wrote; refuse a format version that is not known."""
        content = json.loads(text)
        found = content.get("format_version")
        if found not in (FORMAT_VERSION, MAPPED_FORMAT_VERSION):
            raise FeedError(
                f"a stored snapshot has format version {found}; expected {FORMAT_VERSION} or "
                f"{MAPPED_FORMAT_VERSION}. Take the snapshot anew, or read it with the release "
                "that wrote it."
            )
        files = tuple(_from_plain(file) for file in content["files"])
        return cls(
            table=content["table"],
            version=content["version"],
            files=files,
            where=content["where"],
            schema=content["schema"],
            mapping=ColumnMapping(**content.get("mapping", {})),
            partitioned_by=tuple(
                content.get("partitioned_by") or (files[0].partition_values if files else ())
            ),
        )


def _to_plain(file: LiveFile) -> dict[str, Any]:
    plain = asdict(file)
    return {key: value for key, value in plain.items() if value not in (None, {})}


def _from_plain(plain: dict[str, Any]) -> LiveFile:
    vector = plain.pop("deletion_vector", None)
    return LiveFile(**plain, deletion_vector=DeletionVector(**vector) if vector else None)


def take_snapshot(
    table: str, version: int | None = None, where: PartitionFilter | None = None
) -> Snapshot:
    """Read the live files of a table at a version (by default its newest) from Delta's log.

    Needs no Spark. `where` picks partitions. Row counts come from the log's statistics, or from a
    file's footer where the log has none. Raises TableNotFound, VersionNotFound, LogDamaged,
    UsageError for what is no version, SchemaError for a column in `where` that is no partition
    column, FeedError for a reader feature not known.
    """
    from pipelines.lake.delta_log import read_state

    files = TableFiles(table)
    state = read_state(files, version)
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f"where={where!r} names no partition; expected a dict of column to value.")
    where = dict(where or {})
    _check_partitions(table, state, where)
    mapping = ColumnMapping.of(state.metadata)
    adds = [add for add in state.adds.values() if _is_wanted(add, where, mapping)]
    schema = _schema(state)
    has_position = POSITION in schema
    live = _live_files(adds, mapping, has_position=has_position)
    live = _with_footers(files, live, mapping, has_position=has_position)
    return Snapshot(
        table=table,
        version=state.version,
        files=tuple(sorted(live, key=lambda file: file.path)),
        where=where,
        schema=schema,
        mapping=mapping,
        partitioned_by=tuple(state.metadata.get("partitionColumns") or ()),
    )


def _check_partitions(table: str, state: TableState, where: PartitionFilter) -> None:
    known = list(state.metadata.get("partitionColumns") or [])
    for column, wanted in where.items():
        if column not in known:
            raise SchemaError(
                f"{table} is not partitioned by '{column}'; expected one of {known}."
                f"{nearest(column, known)}"
            )
        several = list(wanted) if isinstance(wanted, Collection) else [wanted]
        for value in [wanted] if isinstance(wanted, str) else several:
            if value is not None and not isinstance(value, str):
                raise UsageError(
                    f"{value!r} is no value of the partition column '{column}': partitions are "
                    f"named by texts. Expected a text such as '{value}', a list of them, or None."
                )


def _is_wanted(add: Action, where: PartitionFilter, mapping: ColumnMapping) -> bool:
    values = add.get("partitionValues") or {}
    for column, wanted in where.items():
        value = values.get(mapping.physical(column)) or None  # an empty text is null in the log
        if value not in ([wanted] if wanted is None or isinstance(wanted, str) else wanted):
            return False
    return True


def _schema(state: TableState) -> dict[str, str]:
    fields = json.loads(state.metadata["schemaString"])["fields"]
    types = {one["name"]: one["type"] for one in fields}
    return {name: t["type"] if isinstance(t, dict) else t for name, t in types.items()}


def _live_files(
    adds: list[Action], mapping: ColumnMapping, *, has_position: bool
) -> list[LiveFile]:
    """Turn `add` actions into files; `num_rows` is -1 where the log doesn't say it."""
    position = mapping.physical(POSITION) if has_position else None
    counts, positions = statistics([add.get("stats") for add in adds], position)
    live = []
    for add, count, smallest in zip(adds, counts, positions, strict=True):
        vector = add.get("deletionVector")
        vector = DeletionVector.from_log(vector) if vector else None
        values = {k: v or None for k, v in (add.get("partitionValues") or {}).items()}
        live.append(
            LiveFile(
                path=decoded(add["path"]),
                num_rows=-1 if count is None else count - (vector.num_deleted if vector else 0),
                min_position=smallest,
                partition_values=mapping.logical(values),
                deletion_vector=vector,
            )
        )
    return live


def _with_footers(
    files: TableFiles, live: list[LiveFile], mapping: ColumnMapping, *, has_position: bool
) -> list[LiveFile]:
    """Fill in from the files' footers what the log's statistics didn't say."""
    whole = []
    for file in live:
        if file.num_rows < 0 or (has_position and file.min_position is None):
            stored, position = _read_footer(files, file.path, mapping)
            deleted = file.deletion_vector.num_deleted if file.deletion_vector else 0
            file = replace(file, num_rows=stored - deleted, min_position=position)
        if file.num_rows:
            whole.append(file)
    return whole


def _read_footer(files: TableFiles, path: str, mapping: ColumnMapping) -> tuple[int, int | None]:
    import pyarrow.parquet as pq

    try:
        with files.open(path) as handle:
            footer = pq.ParquetFile(handle).metadata
    except FileNotFoundError as error:
        raise FeedError(
            f"{files.table} lacks its file {path}: a VACUUM removed it, or it was deleted by hand. "
            "Take a newer version of the table."
        ) from error
    position = mapping.stored(footer.schema.to_arrow_schema()).get(POSITION)
    smallest: list[int] = []
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            chunk = footer.row_group(group).column(column)
            if chunk.path_in_schema == position and chunk.is_stats_set:
                smallest.append(chunk.statistics.min)
    return footer.num_rows, min(smallest, default=None)
