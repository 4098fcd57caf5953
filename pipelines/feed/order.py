"""How an epoch's rows are ordered: streams, rotation, global batches, windows. Pure arithmetic.

An epoch has N rows in the order of its files. They are cut into S streams of equal length to within
one row. The rows are consumed by rotation: row i of the epoch is the row `i // S` that stream
`i % S` hands out. Global batch k is rows `[k * B, (k + 1) * B)`. A stream hands its rows out
window by window, shuffled within each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import PlanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILES, WINDOW = 0, 1  # what a random generator is for


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return a random generator that depends on nothing but `seed` and `key`."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True)
class Order:
    """How an epoch's rows are ordered: what a plan and each rank's part of it share."""

    seed: int
    epoch: int
    num_rows: int
    global_batch_size: int
    streams: int
    window_rows: int
    is_shuffled: bool = True

    @property
    def steps(self) -> int:
        """Global batches of the epoch; the last one may be short."""
        return -(-self.num_rows // self.global_batch_size)

    def batch_bounds(self, step: int) -> tuple[int, int]:
        """Return the first row of global batch `step`, and the first behind it."""
        if not 0 <= step <= self.steps:
            raise PlanError(f"there is no step {step} in an epoch of {self.steps} steps")
        start = step * self.global_batch_size
        return min(start, self.num_rows), min(start + self.global_batch_size, self.num_rows)

    def stream_bounds(self, stream: int) -> tuple[int, int]:
        """Return where a stream starts and ends in the epoch's order of files."""
        rows, longer = divmod(self.num_rows, self.streams)
        start = stream * rows + min(stream, longer)
        return start, start + rows + (stream < longer)

    def window_at(self, stream: int, row: int) -> int:
        """Return the window that holds a stream's row.

        The first windows of the streams differ in length, so that the streams need their next
        windows one after another and not all at once.
        """
        first = self._first_window(stream)
        return 0 if row < first else 1 + (row - first) // self.window_rows

    def window_bounds(self, stream: int, window: int) -> tuple[int, int]:
        """Return the rows of a stream's window, within the stream."""
        start, stop = self.stream_bounds(stream)
        end = self._first_window(stream) + window * self.window_rows
        return max(0, end - self.window_rows) if window else 0, min(end, stop - start)

    def picks(self, stream: int, window: int) -> NDArray[np.int64] | None:
        """Return the rows of a window (from 0) in the order in which they are handed out.

        None where rows stay in the order of the files.
        """
        if not self.is_shuffled:
            return None
        start, stop = self.window_bounds(stream, window)
        random = generator(self.seed, WINDOW, self.epoch, stream, window)
        return random.permutation(stop - start)

    def _first_window(self, stream: int) -> int:
        return -(-self.window_rows * (stream + 1) // self.streams)
