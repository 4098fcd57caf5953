"""A rank's rows in the order of the rotation, in chunks: what batches are cut from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import FeedError
from pipelines.feed.buffers import Arrays, Buffer, Pool, pool

if TYPE_CHECKING:
    from pipelines.feed.columns import FeedColumns
    from pipelines.feed.plan import RankPlan
    from pipelines.feed.reader import WindowReader
    from pipelines.feed.window import Window

_CHUNK_BYTES = 4 << 20


def chunks(plan: RankPlan, columns: FeedColumns, reader: WindowReader) -> Iterator[Arrays]:
    """Yield the rank's rows from `start_step` on, chunk by chunk, each of whole batches.

    Row j of a rank is row `j // M` of its stream number `j % M`, M being the number of its
    streams: a stream's rows go to every M-th row of a chunk. Batches end where chunks end, so that
    tf.data can hand out parts of a chunk without copying them. Raises FeedError where the reader
    ends before all planned rows have come.
    """
    width = sum(one.row_bytes for one in columns.components)
    batch_rows = -(-plan.order.global_batch_size // plan.size)
    steps = max(1, _CHUNK_BYTES // ((width + 8) * batch_rows))
    if columns.images:
        steps = 1  # a file's bytes are not counted above: windows and one batch are enough of them
    rows = max(1, min(steps * batch_rows, plan.num_rows))
    buffers = pool(columns.components, rows, "chunk")
    slots = _Slots(plan, reader, Buffer(columns.components, -(-rows // len(plan.streams))))
    for step in range(plan.start_step, plan.steps, steps):
        first, last = (plan.rows_before(min(at, plan.steps)) for at in (step, step + steps))
        if first < last:
            yield slots.take(first, last, buffers)


class _Slots:
    """The windows of a rank's streams: the one in use, and those that came early."""

    def __init__(self, plan: RankPlan, reader: WindowReader, room: Buffer) -> None:
        self._plan = plan
        self._room = room.arrays
        self._windows = iter(reader)
        self._waiting: list[list[Window]] = [[] for _ in plan.streams]

    def take(self, first: int, last: int, buffers: Pool) -> Arrays:
        """Return the rank's rows `[first, last)`."""
        count = len(self._waiting)
        out = buffers.take(last - first)
        out["row"] = np.arange(first, last, dtype=np.int64) * self._plan.size + self._plan.rank
        for slot in range(count):
            row, stop = -(-(first - slot) // count), -(-(last - slot) // count)
            while row < stop:
                window = self._holding(slot, row)
                end = min(stop, window.high)
                to = slice(row * count + slot - first, (end - 1) * count + slot - first + 1, count)
                window.hand_out(row, end, out, to, self._room)
                row = end
        return out

    def _holding(self, slot: int, row: int) -> Window:
        """Return the stream's window that holds a row, as soon as all of it is in."""
        waiting = self._waiting[slot]
        while waiting and waiting[0].high <= row:
            waiting.pop(0)
        while not waiting or waiting[0].low > row or waiting[0].missing:
            self._await()
        return waiting[0]

    def _await(self) -> None:
        window = next(self._windows, None)
        if window is None:
            plan = self._plan
            raise FeedError(
                f"the rows of {plan.table} at version {plan.version} ended before all that rank "
                f"{plan.rank} of {plan.size} planned had come. Please report this: the feed never "
                "hands out fewer rows."
            )
        waiting = self._waiting[window.slot]
        if window not in waiting:
            waiting.append(window)
            waiting.sort(key=lambda one: one.low)  # threads may finish out of order
