"""One Petastorm reader for a rank: decodes its row groups in the order of first need.

Petastorm brings the threads, the queues and the bounded number of row groups in flight. What is
ours: the list of jobs (row groups of several streams interleaved, made as it is needed), a worker
that decodes straight into windows, and errors that say which file of which version.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.feed.layout import Layout, Piece, pieces, read_layout
from pipelines.feed.pace import Pace
from pipelines.feed.window import Window, Windows, window_pool

if TYPE_CHECKING:
    import numpy as np

    from pipelines.feed.columns import FeedColumns
    from pipelines.feed.plan import RankPlan
    from pipelines.lake.snapshot import LiveFile


class WindowReader(Protocol):
    """What fills windows: iterating gives a window for each share of rows that came in.

    The same window comes several times, until its `missing` is 0; windows of one stream come in
    their order, and `missing` is only changed by the thread that iterates.
    """

    def __iter__(self) -> Iterator[Window]: ...

    def close(self) -> None:
        """End threads and let go of files."""


_MOST_THREADS = 4
"""Threads there are at most, as a multiple of those it starts with."""


class PetastormReader:
    """Reads a rank's files with Petastorm's pool; `threads` decode at first, `Pace` finds more."""

    def __init__(self, plan: RankPlan, columns: FeedColumns, threads: int = 2) -> None:
        from pipelines.feed.worker import open_reader

        layouts: dict[str, Layout] = {}

        def layout_of(file: LiveFile) -> Layout:
            # A file on a border is read by two streams, often one after the other.
            if file.path not in layouts:
                if len(layouts) > 2 * len(plan.streams):
                    layouts.pop(next(iter(layouts)))
                layouts[file.path] = read_layout(plan, file)
            return layouts[file.path]

        self.pace = Pace(threads, _MOST_THREADS * threads)
        self._reader = None
        if plan.files:
            layout_of(plan.files[0])  # Petastorm looks at it: a missing file is told our way
            self._reader = open_reader(plan, columns, pieces(plan, columns, layout_of), self.pace)

    def __iter__(self) -> Iterator[Window]:
        reader, came = iter(self._reader or ()), time.perf_counter()
        while True:
            before, asked = came, time.perf_counter()
            piece: Piece | None = next(reader, None)
            if piece is None:
                return
            came = time.perf_counter()
            self.pace.note(piece.last - piece.first, waited=came - asked, seconds=came - before)
            for target in piece.targets:
                target.window.missing -= target.last - target.first
                yield target.window

    def close(self) -> None:
        """End the threads; rows still in flight are dropped."""
        if self._reader is not None:
            self._reader.stop()
            self._reader.join()


class MemoryReader:
    """The twin without files: `tables` has each file's live rows, as columns by name."""

    def __init__(
        self,
        plan: RankPlan,
        columns: FeedColumns,
        tables: Mapping[str, Mapping[str, np.ndarray[Any, Any]]],
    ) -> None:
        self._plan = plan
        self._columns = columns
        self._tables = tables

    def __iter__(self) -> Iterator[Window]:
        pool = window_pool(self._plan, self._columns)
        for slot, stream in enumerate(self._plan.streams):
            windows = Windows(self._plan, slot, pool)
            for index, first, last, at in zip(
                stream.files, stream.first, stream.last, stream.at, strict=True
            ):
                table = self._tables[self._plan.files[index].path]
                for target in windows.targets(int(at), int(last - first)):
                    part = slice(first + target.first, first + target.last)
                    for one in self._columns.components:
                        columns = [table[name][part] for name in one.columns]
                        out = target.window.arrays[one.name]
                        if one.is_matrix:
                            for number, column in enumerate(columns):
                                out[target.rows, number] = column
                        else:
                            out[target.rows] = columns[0]
                    target.window.missing -= target.last - target.first
                    yield target.window

    def close(self) -> None:
        """Do nothing: there are neither threads nor files."""
