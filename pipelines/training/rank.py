"""What a rank's process does around the training: its environment, its line to the driver."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import TrainingError
from pipelines.registry.quiet import load_tensorflow
from pipelines.training.collective import Collective
from pipelines.training.final import is_known_final
from pipelines.training.meeting import joined, meet
from pipelines.training.report import Address, Reporter, beat_of
from pipelines.training.signs import beating

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext


_GPUS = "CUDA_VISIBLE_DEVICES"
_COLLECTIVE_KINDS = {
    "HorovodInternalError",
    "RuntimeError",
    *("AbortedError", "CancelledError", "FailedPreconditionError", "InternalError"),
    *("InvalidArgumentError", "UnavailableError", "UnknownError"),
}
"""As what Horovod, and TensorFlow for it, tell of a broken connection."""
_IMAGE = r"assertion failed: \[(an image in column .*?)\]\s*(?:\[\[|\n|$)"
_RAISED = r"(?:^|\}\} )(\w+): (.*?)\nTraceback \(most"


class Tell(Protocol):
    """Takes events for the driver."""

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event."""


@dataclass(frozen=True)
class Rank:
    """What a task of `launch` is given. `attempt` is 0 at first, 1 after a restart, ..."""

    collective: Collective
    reporter: Tell
    attempt: int
    threads: int


Task = Callable[[Rank], Any]


@dataclass(frozen=True)
class Attempt:
    """One launch of all ranks, as plain data."""

    number: int
    size: int
    threads: int
    address: Address
    gpus: int = 0
    """GPUs of each rank, as asked of Spark."""
    hang_timeout: float | None = None


def run_rank(context: BarrierTaskContext, attempt: Attempt, task: Task) -> Any:
    """Run `task` as one rank of a barrier stage and return its result."""
    rank = context.partitionId()
    reporter = Reporter(attempt.address, rank, attempt.number)
    try:
        with beating(reporter.tell, beat_of(attempt.hang_timeout)) as pulse:
            meeting = meet(context) if attempt.size > 1 else None
            prepare(attempt.threads, given_gpus(context.resources(), attempt.gpus))
            reporter.tell({"event": "prepared"})
            with joined(context, meeting, attempt.hang_timeout) as collective:
                reporter.tell({"event": "joined"})
                pulse.signs = collective.signs
                result = task(Rank(collective, reporter, attempt.number, attempt.threads))
        reporter.tell({"event": "done"})
    except Exception as error:
        reporter.tell({"event": "failed", **describe(error)})
        raise
    finally:
        reporter.close()
    return result


def prepare(threads: int, gpus: Sequence[str] = ()) -> None:
    """Hold TensorFlow to its cores and GPUs. Must come before anything imports it.

    With more threads than cores ranks of one host fight each other: two of them were slower than
    one. Raises TrainingError where the process has TensorFlow already, and with it other GPUs or
    threads: neither can be changed any more.
    """
    if gpus:
        if "tensorflow" in sys.modules and os.environ.get(_GPUS) != ",".join(gpus):
            raise TrainingError(
                f"GPU {', '.join(gpus)} can't be given to a rank whose Python worker has imported "
                f"TensorFlow before, with {_GPUS}={os.environ.get(_GPUS)}. Expected a fresh "
                "worker: don't import TensorFlow at Python's start (sitecustomize, PYTHONSTARTUP)."
            )
        os.environ[_GPUS] = ",".join(gpus)
    else:
        os.environ.setdefault(_GPUS, "-1")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    load_tensorflow(threads)
    _check_threads(threads)


def _check_threads(threads: int) -> None:
    import tensorflow as tf

    found = tf.config.threading.get_intra_op_parallelism_threads()
    if found != threads:
        raise TrainingError(
            f"TensorFlow computes with {found} threads in this Python worker, expected {threads}: "
            "it was imported and used before the rank began. Don't use it at Python's start."
        )


def describe(error: BaseException) -> dict[str, Any]:
    """Return what the driver should know of a failure, as plain data."""
    kind, message = (
        _told_by_python(error) or _told_of_an_image(error) or (type(error).__name__, str(error))
    )
    is_collective = kind in _COLLECTIVE_KINDS and "horovod" in f"{kind} {message}".lower()
    is_final = not is_collective and is_known_final(error if kind == type(error).__name__ else kind)
    return {
        "kind": kind,
        "message": message,
        "traceback": "".join(traceback.format_exception(error))[-8000:],
        "is_collective": is_collective,
        "is_final": is_final,
    }


def _told_by_python(error: BaseException) -> tuple[str, str] | None:
    """Return what a Python function in a TensorFlow graph (the feed's) had raised."""
    if "PyFunc" not in str(error):
        return None
    found = re.search(_RAISED, str(error), re.DOTALL | re.MULTILINE)
    return (found[1], found[2]) if found else None


def _told_of_an_image(error: BaseException) -> tuple[str, str] | None:
    """Return what the feed says inside the graph of an image that it can't decode."""
    found = re.search(_IMAGE, str(error), re.DOTALL)
    return ("FeedError", re.sub(r"\] \[", " ", found[1])) if found else None


def given_gpus(resources: Mapping[str, Any], wanted: int) -> list[str]:
    """Return the addresses of a task's GPUs. Raises TrainingError where Spark gave it too few."""
    found = list(resources["gpu"].addresses) if "gpu" in resources else []
    if len(found) < wanted:
        raise TrainingError(
            f"Spark gave this rank the GPUs {found}, expected {wanted} of them "
            "(`train.resources.gpu`). Please report this."
        )
    return found
