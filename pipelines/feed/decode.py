"""From a Parquet row group to rows in windows. Whole columns at a time, no row in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import FeedError
from pipelines.feed.layout import missing_file
from pipelines.lake.storage import TableFiles

if TYPE_CHECKING:
    from pipelines.feed.columns import Component, FeedColumns
    from pipelines.feed.layout import Piece
    from pipelines.feed.plan import RankPlan


class Decoder:
    """Decodes the pieces of one rank; safe to be shared by threads."""

    def __init__(self, plan: RankPlan, columns: FeedColumns) -> None:
        self._plan = plan
        self._columns = columns
        self._files = TableFiles(plan.table)

    def decode(self, piece: Piece) -> None:
        """Read a row group and put its rows where they go."""
        table = self._read(piece)
        live = piece.layout.live_rows(piece.group)
        for component in self._columns.components:
            sources = [self._source(piece, table, one, component) for one in component.columns]
            for target in piece.targets:
                out = target.window.arrays[component.name]
                rows = slice(piece.first + target.first, piece.first + target.last)
                part = rows if live is None else live[rows]
                if component.is_matrix:
                    _fill_matrix(out[target.rows], sources, part)
                else:
                    out[target.rows] = sources[0][part]

    def _read(self, piece: Piece) -> Any:
        import pyarrow.parquet as pq

        file, metadata = piece.layout.file, piece.layout.metadata
        stored = piece.layout.columns
        for name in self._columns.names:
            if name not in stored and name not in file.partition_values:
                raise FeedError(
                    f"{file.path} of {self._plan.table} has no column '{name}': the column was "
                    "added to the table after this file was written, so its rows have no value. "
                    "Write the training set again (`tidemill normalize`)."
                )
        wanted = [stored[name] for name in self._columns.names if name in stored]
        try:
            with self._files.open(file.path) as handle:
                parquet = pq.ParquetFile(handle, metadata=metadata)
                return parquet.read_row_group(piece.group, columns=wanted, use_threads=False)
        except FileNotFoundError as error:
            raise missing_file(self._plan, file, error) from error

    def _source(self, piece: Piece, table: Any, name: str, component: Component) -> Any:
        """Return a stored column as a numpy array of the component's type."""
        import pyarrow as pa

        file, stored = piece.layout.file, piece.layout.columns
        if component.dtype is np.object_:
            return self._checked(table[stored[name]], name, piece).to_numpy()
        if component.shape:
            column = self._checked(table[stored[name]], name, piece)
            return self._lists(piece, column, component)
        wanted = pa.from_numpy_dtype(component.dtype)
        try:
            if name in stored:
                column = table[stored[name]]
            else:
                value = pa.scalar(file.partition_values[name]).cast(wanted)
                column = pa.chunked_array([pa.repeat(value, table.num_rows)])
            if column.type != wanted:
                # A number that float32 can't hold is rounded; a cast to integers must be exact.
                is_float = np.issubdtype(component.dtype, np.floating)
                column = column.cast(wanted, safe=not is_float)
        except pa.ArrowInvalid as error:
            raise FeedError(
                f"column '{name}' in {file.path} of {self._plan.table} can't be fed as "
                f"{np.dtype(component.dtype).name}: {error}"
            ) from error
        # One chunk is handed out without a copy; ChunkedArray.to_numpy always makes one.
        column = self._checked(column, name, piece)
        return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()

    def _lists(self, piece: Piece, column: Any, component: Component) -> Any:
        """Return a column of lists as a matrix; all of them have the component's length."""
        import pyarrow as pa
        import pyarrow.compute as pc

        name, (length,) = component.columns[0], component.shape
        where = f"column '{name}' in {piece.layout.file.path} of {self._plan.table}"
        if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
            raise FeedError(f"{where} is of type {column.type}; expected lists of numbers.")
        found = pc.min_max(pc.list_value_length(column)).as_py()
        if column.num_chunks and len(column) and {found["min"], found["max"]} != {length}:
            other = found["min"] if found["min"] != length else found["max"]
            raise FeedError(
                f"{where} has a row of {other} values; expected {length} in each. Write the "
                "training set again (`tidemill normalize`)."
            )
        values = pc.list_flatten(column)
        wanted = pa.from_numpy_dtype(component.dtype)
        try:
            if values.type != wanted:
                is_float = np.issubdtype(component.dtype, np.floating)
                values = values.cast(wanted, safe=not is_float)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise FeedError(
                f"{where} can't be fed as {np.dtype(component.dtype).name}: {error}"
            ) from error
        return self._checked(values, name, piece).to_numpy().reshape(-1, length)

    def _checked(self, column: Any, name: str, piece: Piece) -> Any:
        """Return a column; raise FeedError where it has nulls."""
        if column.null_count:
            raise FeedError(
                f"column '{name}' in {piece.layout.file.path} of {self._plan.table} has "
                f"{column.null_count} nulls in one row group; a model input must have none. "
                "Impute them in `normalize`."
            )
        return column


def _fill_matrix(out: Any, sources: list[Any], part: Any) -> None:
    """Set `out`'s columns to the sources' `part`, column by column.

    Large copies on purpose: each one gives Python's lock away once, and takes it once.
    """
    for index, source in enumerate(sources):
        out[:, index] = source[part]
