"""Windows: the arrays that a stream's rows are decoded into, in the order of the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.feed.buffers import Arrays, Pool, pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.feed.columns import FeedColumns
    from pipelines.feed.plan import RankPlan, StreamPlan


@dataclass(eq=False)
class Window:
    """Rows `[low, high)` of stream number `slot` of a rank.

    Its rows are handed out in the order `picks` (indices into `arrays`); None keeps their order.
    `missing` counts rows that are not in yet.
    """

    slot: int
    low: int
    high: int
    picks: NDArray[np.int64] | None
    arrays: Arrays
    missing: int

    def hand_out(self, row: int, end: int, out: Arrays, to: slice, room: Arrays) -> None:
        """Copy the stream's rows `[row, end)` to the rows `to` of `out`; `room` holds as many."""
        rows = slice(row - self.low, end - self.low)
        for name, array in self.arrays.items():
            if self.picks is None:
                out[name][to] = array[rows]
            else:
                # `clip` spares numpy a look at every index: half the time of `raise`.
                picked = room[name][: end - row]
                array.take(self.picks[rows], axis=0, out=picked, mode="clip")
                out[name][to] = picked


@dataclass(frozen=True, eq=False)
class Target:
    """Where decoded rows `[first, last)` go: into `window`, from its row number `at` on."""

    window: Window
    first: int
    last: int
    at: int

    @property
    def rows(self) -> slice:
        """The rows in the window's arrays."""
        return slice(self.at, self.at + self.last - self.first)


@dataclass
class Windows:
    """Makes a stream's windows as rows of it come up, in order, keeping only the last one."""

    plan: RankPlan
    slot: int
    pool: Pool
    _last: Window | None = field(default=None, init=False)

    @property
    def stream(self) -> StreamPlan:
        """The stream's plan."""
        return self.plan.streams[self.slot]

    def need(self, row: int) -> int:
        """Return from which of the stream's rows on this row is needed: its window's start."""
        order, stream = self.plan.order, self.stream.stream
        return order.window_bounds(stream, order.window_at(stream, row))[0]

    def targets(self, at: int, rows: int) -> tuple[Target, ...]:
        """Return where `rows` rows of the stream go, the first of them being its row `at`."""
        found, done = [], 0
        while done < rows:
            window = self._holding(at + done)
            take = min(rows - done, window.high - at - done)
            found.append(Target(window, done, done + take, at + done - window.low))
            done += take
        return tuple(found)

    def _holding(self, row: int) -> Window:
        if self._last is None or row >= self._last.high:
            order, stream = self.plan.order, self.stream.stream
            number = order.window_at(stream, row)
            low, high = order.window_bounds(stream, number)
            self._last = Window(
                slot=self.slot,
                low=low,
                high=high,
                picks=order.picks(stream, number),
                arrays=self.pool.take(high - low),
                missing=high - low,
            )
        return self._last


def window_pool(plan: RankPlan, columns: FeedColumns) -> Pool:
    """Return a pool of arrays that hold any window of a plan."""
    longest = max((stream.stop for stream in plan.streams), default=0)
    return pool(columns.components, min(plan.order.window_rows, longest), "window")
