"""Row groups of a file, and which of them a rank reads in which order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import FeedError
from pipelines.feed.window import Target, Windows, window_pool
from pipelines.lake.storage import TableFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.feed.columns import FeedColumns
    from pipelines.feed.plan import RankPlan
    from pipelines.lake.snapshot import LiveFile


@dataclass(frozen=True, eq=False)
class Layout:
    """A file's footer, and how many live rows its row groups hold.

    `ends[g]` is the number of live rows in row groups 0 to g; `starts[g]` the first row of group g
    in the file, deleted rows counted. `columns` are those the file holds, by the table's names,
    with what they are called in the file.
    """

    file: LiveFile
    metadata: Any
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    deleted: NDArray[np.int64]
    columns: Mapping[str, str]

    def live_rows(self, group: int) -> NDArray[np.int64] | None:
        """Return which rows of a row group are live; None if all of them are."""
        stored = self.metadata.row_group(group).num_rows
        start = self.starts[group]
        low, high = np.searchsorted(self.deleted, [start, start + stored])
        return np.delete(np.arange(stored), self.deleted[low:high] - start) if low < high else None


def read_layout(plan: RankPlan, file: LiveFile) -> Layout:
    """Read a file's footer and deletion vector.

    Raises FeedError where the file is gone, or doesn't hold what the snapshot says.
    """
    import pyarrow.parquet as pq

    files = TableFiles(plan.table)
    deleted = np.empty(0, np.int64)
    try:
        with files.open(file.path) as handle:
            metadata = pq.ParquetFile(handle).metadata
        if file.deletion_vector:
            deleted = file.deletion_vector.deleted_rows(files)
    except FileNotFoundError as error:
        raise missing_file(plan, file, error) from error
    if metadata.num_rows != file.num_stored_rows:
        raise FeedError(
            f"{file.path} of {plan.table} holds {metadata.num_rows} rows; at version "
            f"{plan.version} it had {file.num_stored_rows}. Somebody has changed the file: write "
            "the training set again (`tidemill normalize`) and train on its new version."
        )
    groups = range(metadata.num_row_groups)
    stored = np.array([metadata.row_group(g).num_rows for g in groups], np.int64)
    stops = np.cumsum(stored)
    return Layout(
        file=file,
        metadata=metadata,
        starts=stops - stored,
        ends=stops - np.searchsorted(deleted, stops),
        deleted=deleted,
        columns=plan.mapping.stored(metadata.schema.to_arrow_schema()),
    )


def missing_file(plan: RankPlan, file: LiveFile, error: FileNotFoundError) -> FeedError:
    """Return the error for a file of the snapshot that is no longer there."""
    lost = str(error.filename or "").rpartition("/")[2]
    what = f"{file.path}" if not lost or file.path.endswith(lost) else f"{lost} (of {file.path})"
    return FeedError(
        f"{plan.table} lacks a file of version {plan.version}: {what}. A VACUUM removed it, or it "
        "was deleted by hand. Take a new snapshot and start the training again "
        "(`tidemill train` on the table's newest version), and give the table a longer "
        "`delta.deletedFileRetentionDuration`."
    )


@dataclass(frozen=True, eq=False)
class Piece:
    """One decoding job: live rows `[first, last)` of a row group, and where they go."""

    layout: Layout
    group: int
    first: int
    last: int
    targets: tuple[Target, ...]


def pieces(
    plan: RankPlan, columns: FeedColumns, layout_of: Callable[[LiveFile], Layout]
) -> Iterator[Piece]:
    """Yield a rank's row groups, those of its streams interleaved in the order of first need.

    Lazy: files are looked at, and windows made, as their turn comes.
    """
    pool = window_pool(plan, columns)
    streams = (
        _stream_pieces(plan, Windows(plan, slot, pool), layout_of)
        for slot in range(len(plan.streams))
    )
    for _, piece in heapq.merge(*streams, key=lambda needed: needed[0]):
        yield piece


def _stream_pieces(
    plan: RankPlan, windows: Windows, layout_of: Callable[[LiveFile], Layout]
) -> Iterator[tuple[tuple[int, int], Piece]]:
    stream = windows.stream
    if stream.start >= stream.stop:
        return
    for index, first, last, at in zip(
        stream.files.tolist(),
        stream.first.tolist(),
        stream.last.tolist(),
        stream.at.tolist(),
        strict=True,
    ):
        layout = layout_of(plan.files[index])
        for group in range(int(np.searchsorted(layout.ends, first, "right")), len(layout.ends)):
            begin = int(layout.ends[group - 1]) if group else 0
            low, high = max(first, begin), min(last, int(layout.ends[group]))
            if begin >= last:
                break
            if low < high:
                row = at + low - first
                targets = windows.targets(row, high - low)
                piece = Piece(layout, group, low - begin, high - begin, targets)
                yield (windows.need(row), windows.slot), piece
