"""The rows of a small table, read without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import FeedError, TableNotFound
from pipelines.lake.catalog import Lake, Table

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.lake.snapshot import Snapshot


def arrow_tables(
    lake: Lake, table: Table | str, version: int | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield the live rows of a table file by file; nothing where it does not exist.

    Columns that a file lacks (they came later) are left out of its part; those that a table is
    partitioned by are added, as text.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipelines.lake.snapshot import take_snapshot
    from pipelines.lake.storage import TableFiles

    try:
        snapshot = take_snapshot(lake.path(table), version)
    except TableNotFound:
        return
    files = TableFiles(snapshot.table)
    for file in snapshot.files:
        with files.open(file.path) as handle:
            parquet = pq.ParquetFile(handle, coerce_int96_timestamp_unit="us")
            rows = _rows(parquet, snapshot, columns)
        if file.deletion_vector is not None:
            lives = np.ones(file.num_stored_rows, bool)
            lives[file.deletion_vector.deleted_rows(files)] = False
            rows = rows.filter(lives)
        for name, value in file.partition_values.items():
            if name not in rows.column_names and (columns is None or name in columns):
                rows = rows.append_column(name, pa.array([value] * len(rows), pa.string()))
        yield rows


def _rows(parquet: Any, snapshot: Snapshot, columns: Sequence[str] | None) -> pa.Table:
    """Read a file's columns under the table's names for them."""
    import pyarrow as pa

    if not snapshot.mapping:
        return parquet.read(columns=columns)
    held = snapshot.mapping.stored(parquet.schema_arrow)
    wanted = [name for name in held if columns is None or name in columns]
    rows = parquet.read(columns=[held[name] for name in wanted])
    found = {name: rows[held[name]] for name in wanted}
    for name, column in found.items():
        if pa.types.is_nested(column.type) and snapshot.schema[name] in ("struct", "map"):
            raise FeedError(
                f"column '{name}' of {snapshot.table} is a {snapshot.schema[name]} in a table with "
                "column mapping, which only Spark reads. Read it with Spark, or without the column."
            )
    return pa.table(found)


def rows_of(
    lake: Lake, table: Table | str, version: int | None = None, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return the live rows of a small table; none where it does not exist."""
    return [row for part in arrow_tables(lake, table, version, columns) for row in part.to_pylist()]
