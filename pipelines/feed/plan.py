"""Which rows each rank reads, in which order, and what each global batch holds. Pure.

The epoch's order is the snapshot's files, sorted by their smallest `_position` and then permuted,
one behind the other; `feed.order` says how streams and batches are cut from it. Rank r of R holds
the streams s with `s % R == r`, and R divides S: so its rows are those with `i % R == r`, in each
batch the same share to within one row, and what a batch holds does not depend on R.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import PlanError
from pipelines.feed.order import FILES, Order, generator
from pipelines.lake.column_mapping import ColumnMapping

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.lake.snapshot import LiveFile, Snapshot

STREAMS = 12
WINDOW_ROWS = 65_536
EVALUATION_WINDOW_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class StreamPlan:
    """What a rank reads for one stream: live rows `[first, stop)` of `files`, in this order.

    `files` are indices into `RankPlan.files`; `at` says which row of the stream each `first` is.
    Reading starts at the window that holds row `start`, the first row to hand out.
    """

    stream: int
    start: int
    stop: int
    files: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    at: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RankPlan:
    """A rank's part of an epoch from `start_step` on, with the files it needs and no others."""

    table: str
    version: int
    order: Order
    rank: int
    size: int
    start_step: int
    files: tuple[LiveFile, ...]
    streams: tuple[StreamPlan, ...]
    mapping: ColumnMapping = field(default_factory=ColumnMapping)

    @property
    def steps(self) -> int:
        """Steps of the whole epoch, those before `start_step` too."""
        return self.order.steps

    def rows_before(self, step: int) -> int:
        """Return how many rows of the epoch this rank has in the steps before `step`."""
        start, _ = self.order.batch_bounds(step)
        return max(0, -(-(start - self.rank) // self.size))

    def batch_rows(self, step: int) -> int:
        """Return how many rows of global batch `step` this rank has."""
        return self.rows_before(step + 1) - self.rows_before(step)

    @property
    def num_rows(self) -> int:
        """Rows this rank hands out, from `start_step` to the end of the epoch."""
        return self.rows_before(self.steps) - self.rows_before(self.start_step)


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """An epoch over a snapshot: `file_order` are indices into its files."""

    snapshot: Snapshot
    order: Order
    file_order: NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        """Rows of the epoch, over all ranks."""
        return self.order.num_rows

    @property
    def steps(self) -> int:
        """Steps of the epoch, the same on every rank."""
        return self.order.steps

    def batch_rows(self, step: int) -> int:
        """Return the number of rows of global batch `step`, over all ranks."""
        start, stop = self.order.batch_bounds(step)
        return stop - start

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Where each file ends in the epoch's order."""
        rows = np.fromiter((file.num_rows for file in self.snapshot.files), np.int64)
        return np.cumsum(rows[self.file_order])

    def for_rank(self, rank: int, size: int, start_step: int = 0) -> RankPlan:
        """Return what rank `rank` of `size` reads, from `start_step` on.

        Files in front of that step are skipped by arithmetic. Raises PlanError where `size` does
        not divide the streams.
        """
        order = self.order
        if size < 1 or order.streams % size:
            fit = [n for n in range(1, order.streams + 1) if order.streams % n == 0]
            raise PlanError(
                f"{size} ranks don't divide {order.streams} streams; expected one of {fit} ranks, "
                "or another number of streams (`train.streams`)."
            )
        if not 0 <= rank < size:
            raise PlanError(f"there is no rank {rank} among {size}; expected 0 to {size - 1}")
        if order.global_batch_size < size:
            raise PlanError(
                f"a global batch of {order.global_batch_size} rows leaves some of {size} ranks "
                "without a row; expected at least one for each (`train.batch_size`)."
            )
        start, _ = order.batch_bounds(start_step)
        streams = [
            self._stream(stream, max(0, -(-(start - stream) // order.streams)))
            for stream in range(rank, order.streams, size)
        ]
        used, local = np.unique(np.concatenate([s.files for s in streams]), return_inverse=True)
        cuts = np.cumsum([len(s.files) for s in streams])[:-1]
        return RankPlan(
            table=self.snapshot.table,
            version=self.snapshot.version,
            order=order,
            rank=rank,
            size=size,
            start_step=start_step,
            files=tuple(self.snapshot.files[index] for index in used),
            streams=tuple(
                StreamPlan(s.stream, s.start, s.stop, files, s.first, s.last, s.at)
                for s, files in zip(streams, np.split(local, cuts), strict=True)
            ),
            mapping=self.snapshot.mapping,
        )

    def _stream(self, stream: int, start: int) -> StreamPlan:
        """Return a stream from row `start` on, with its files as indices into the snapshot's."""
        order, ends = self.order, self._ends
        begin, end = order.stream_bounds(stream)
        read_from, _ = order.window_bounds(stream, order.window_at(stream, start))
        lowest = min(begin + read_from, end)
        behind = np.searchsorted(ends, end, "left") + 1 if lowest < end else 0
        files = np.arange(np.searchsorted(ends, lowest, "right"), behind)
        stops = ends[files]
        starts = np.where(files > 0, ends[files - 1], 0)
        first = np.maximum(lowest, starts)
        return StreamPlan(
            stream=stream,
            start=start,
            stop=end - begin,
            files=self.file_order[files],
            first=first - starts,
            last=np.minimum(end, stops) - starts,
            at=first - begin,
        )


def plan_epoch(
    snapshot: Snapshot,
    *,
    seed: int,
    epoch: int,
    global_batch_size: int,
    streams: int = STREAMS,
    window_rows: int = WINDOW_ROWS,
) -> EpochPlan:
    """Plan a training epoch: files permuted, rows shuffled in windows of `window_rows`.

    Raises PlanError for an empty snapshot, or a batch larger than the snapshot.
    """
    if window_rows < 1:
        raise PlanError(f"a window of {window_rows} rows can't be shuffled; expected 1 or more")
    plan = _plan(snapshot, Order(seed, epoch, 0, global_batch_size, streams, window_rows))
    if plan.num_rows < global_batch_size:
        raise PlanError(
            f"a global batch of {global_batch_size} rows is larger than the {plan.num_rows} rows "
            f"of {snapshot.table} at version {snapshot.version} {dict(snapshot.where)}. Make "
            "`train.batch_size` smaller."
        )
    return plan


def plan_evaluation(snapshot: Snapshot, global_batch_size: int, streams: int = 1) -> EpochPlan:
    """Plan one pass in the order of `_position`, for validation and test.

    With one stream the rows come in that order; with more of them (the number of ranks must divide
    it) each stream is a contiguous part of it.
    """
    return _plan(
        snapshot, Order(0, 0, 0, global_batch_size, streams, EVALUATION_WINDOW_ROWS, False)
    )


def _plan(snapshot: Snapshot, order: Order) -> EpochPlan:
    if order.global_batch_size < 1 or order.streams < 1 or order.seed < 0 or order.epoch < 0:
        raise PlanError(
            f"batch size {order.global_batch_size}, streams {order.streams}, seed {order.seed}, "
            f"epoch {order.epoch}: expected at least 1, 1, 0 and 0"
        )
    num_rows = snapshot.num_rows
    if num_rows == 0:
        raise PlanError(
            f"{snapshot.table} has no rows at version {snapshot.version} {dict(snapshot.where)}. "
            "Run `normalize` on data that fills this split."
        )
    last = np.iinfo(np.int64).max
    positions = np.fromiter(
        (last if f.min_position is None else f.min_position for f in snapshot.files), np.int64
    )
    file_order = np.argsort(positions, kind="stable")
    if order.window_rows:
        file_order = file_order[
            generator(order.seed, FILES, order.epoch).permutation(len(positions))
        ]
    return EpochPlan(snapshot, replace(order, num_rows=num_rows), file_order)
