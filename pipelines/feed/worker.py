"""What is ours inside Petastorm's reader: ventilator, worker, file system."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from petastorm.arrow_reader_worker import ArrowReaderWorker  # noqa: TID253 - this is its room
from petastorm.reader import Reader  # noqa: TID253
from petastorm.workers_pool import EmptyResultError, thread_pool  # noqa: TID253
from petastorm.workers_pool.ventilator import Ventilator  # noqa: TID253

from pipelines.feed.decode import Decoder
from pipelines.lake.storage import TableFiles

if TYPE_CHECKING:
    from pipelines.feed.columns import FeedColumns
    from pipelines.feed.layout import Piece
    from pipelines.feed.pace import Pace
    from pipelines.feed.plan import RankPlan

_AHEAD = 2
"""Row groups in flight for each thread: one being decoded, one waiting."""


thread_pool.IO_TIMEOUT_INTERVAL_S = 0.005
"""How often threads without work look whether they shall end; an epoch's end waits for it.
Petastorm's 1 ms costs 3 % of a core. Work itself wakes them at once."""


class _Failure:
    """An error on its way from a thread to the one that reads."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Gate:
    """Lets as many threads decode at once as a pace says; the others wait."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._busy = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self._pace.at_once)
            self._busy += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()


class PieceVentilator(Ventilator):
    """Hands out jobs as they are made, two for each thread that decodes.

    Petastorm's own takes a finished list and looks every 10 ms whether there is room; while nothing
    is in flight its pool spins. This one wakes up when there is room, and lets nobody spin.
    """

    def __init__(
        self, ventilate: Callable[..., None], jobs: Iterator[dict[str, Any]], pace: Pace
    ) -> None:
        super().__init__(ventilate)
        self._jobs = jobs
        self._pace = pace
        self._out = 0
        self._done = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="feed-jobs", daemon=True)

    def start(self) -> None:
        """Start handing out."""
        self._thread.start()

    def processed_item(self) -> None:
        """Note that a job is done, then wait until another is out or none is left."""
        with self._changed:
            self._out -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._out > 0 or self._done)

    def wait(self) -> None:
        """Wait until a job is out or none is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._out > 0 or self._done)

    def completed(self) -> bool:
        """Whether all jobs are out."""
        return self._done

    def stop(self) -> None:
        """Hand out no more jobs."""
        with self._changed:
            self._done = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def _has_room(self) -> bool:
        return self._out < _AHEAD * self._pace.at_once

    def _run(self) -> None:
        try:
            for job in self._jobs:
                if not self._hand_out(job):
                    return
        except Exception as error:  # told to the thread that reads
            self._hand_out({"job": _Failure(error)})
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _hand_out(self, job: dict[str, Any]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._has_room or self._done)
            if self._done:
                return False
            self._ventilate_fn(**job)
            self._out += 1
            self._changed.notify_all()
            return True


class _ResultsReader:
    """Takes decoded jobs from the pool; raises what went wrong in a thread."""

    batched_output = True

    def read_next(self, workers_pool: thread_pool.ThreadPool, *_: Any) -> Piece:
        try:
            result = workers_pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
        if isinstance(result, _Failure):
            raise result.error
        piece: Piece = result
        return piece


class PieceWorker(ArrowReaderWorker):
    """Decodes a job straight into windows, in place of an Arrow table of the row group."""

    @staticmethod
    def new_results_queue_reader() -> _ResultsReader:
        """Return what takes results from the pool."""
        return _ResultsReader()

    def process(self, job: Any, decoder: Decoder | None = None, gate: Gate | None = None) -> None:
        """Decode a job and publish it, or the error; a job without a decoder is an error."""
        if decoder is not None and gate is not None:
            give_way()
            try:
                with gate:
                    decoder.decode(job)
            except Exception as error:  # told to the thread that reads
                job = _Failure(error)
        self.publish_func(job)


def give_way() -> None:
    """Have the calling thread take only time on a core that no other thread wants (Linux).

    Where decoding shares a core with training, a step and its sum over ranks would wait for it.
    Cores that other programs keep busy slow reading down: an executor is to have its own.
    """
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):  # a sandbox may refuse it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class PieceReader(Reader):
    """Petastorm's reader with the jobs of a plan in place of its own list of row groups."""

    def __init__(self, jobs: Iterator[dict[str, Any]], pace: Pace, *args: Any, **more: Any):
        self._jobs = jobs
        self._pace = pace
        super().__init__(*args, **more)

    def _create_ventilator(self, *_: Any) -> PieceVentilator:
        return PieceVentilator(self._workers_pool.ventilate, self._jobs, self._pace)

    def __next__(self) -> Any:
        self.ventilator.wait()
        return super().__next__()


def open_reader(
    plan: RankPlan, columns: FeedColumns, jobs: Iterator[Piece], pace: Pace
) -> PieceReader:
    """Open Petastorm's reader for a rank. It looks at one file's schema, the jobs do the rest."""
    decoder, gate = Decoder(plan, columns), Gate(pace)
    files = TableFiles(plan.table)
    _, path = files.locate(plan.files[0].path)
    with warnings.catch_warnings():
        # Petastorm 0.13 goes through pyarrow's legacy data sets; the pins keep the two together.
        warnings.simplefilter("ignore")
        return PieceReader(
            ({"job": piece, "decoder": decoder, "gate": gate} for piece in jobs),
            pace,
            legacy_file_system(files, plan.files[0].path),
            [path],
            reader_pool=thread_pool.ThreadPool(pace.limit, _AHEAD * pace.limit),
            worker_class=PieceWorker,
            shuffle_row_groups=False,
            num_epochs=1,
            is_batched_reader=True,
        )


def legacy_file_system(files: TableFiles, name: str) -> Any:
    """Return the file system of a table in the form that Petastorm needs: pyarrow's legacy one."""
    from pyarrow import filesystem

    system, _ = files.locate(name)
    if "file" in system.protocol:
        return filesystem.LocalFileSystem()

    class Wrapped(filesystem.S3FSWrapper):
        """Asks the wrapped fsspec file system, whatever it is."""

        def isfile(self, path: str) -> bool:
            return bool(self.fs.isfile(path))

        def isdir(self, path: str) -> bool:
            return bool(self.fs.isdir(path))

        def exists(self, path: str) -> bool:
            return bool(self.fs.exists(path))

    return Wrapped(system)
