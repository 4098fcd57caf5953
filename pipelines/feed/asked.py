"""What a notebook asks of the feed: arguments looked at, a table found by its name."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

from pipelines.errors import TableNotFound, UsageError, nearest
from pipelines.feed.columns import FeedColumns
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.snapshot import PartitionFilter, Snapshot, take_snapshot
from pipelines.lake.storage import TableFiles


def check_arguments(columns: object, batch_size: object, seed: object) -> None:
    """Raise UsageError for arguments of `open_table` that are of a wrong type."""
    if not isinstance(columns, FeedColumns):
        raise UsageError(
            f"columns={columns!r} can't be fed; expected FeedColumns(numeric=[...], label=...)."
        )
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
        if value is None and name == "seed":
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
            raise UsageError(f"{name}={value!r}; expected a whole number from {least} on.")


def find_table(
    table: object, lake: object, version: int | None, where: PartitionFilter | None
) -> Snapshot:
    """Return the snapshot of a table by its name in a lake, or by its place where that is None."""
    root = None if lake is None else _place("lake", lake)
    if root is None:
        return take_snapshot(_place("table", table), version, where)
    name = Table.parse(str(table))
    try:
        return take_snapshot(Lake(root).path(name), version, where)
    except TableNotFound as error:
        raise _not_there(root, name) from error


def _place(what: str, given: object) -> str:
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise UsageError(f"{what}={given!r}; expected a path or a URI.")
    place = os.fspath(given).rstrip("/") or "/"
    return place if ":" in place.partition("/")[0] else str(Path(place).expanduser())


def _not_there(root: str, table: Table) -> TableNotFound:
    """Say what is there instead: nothing, or tables of other names."""
    files = TableFiles(root)
    if not files.names(""):
        return TableNotFound(
            f"there is no lake at {root}, or it is empty; `lake` names the folder that holds "
            f"{table.layer}/. `tidemill run` makes one."
        )
    known = [str(Table(table.layer, name)) for name in sorted(files.names(table.layer))]
    return TableNotFound(
        f"there is no table {table} in the lake {root}; {table.layer} holds "
        f"{', '.join(known) or 'none'}.{nearest(str(table), known)}"
    )
