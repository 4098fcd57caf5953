"""What a rank's process does around the training: its environment, its line to the driver."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import TrainingError
from pipelines.ranks.backend import Backend
from pipelines.ranks.collective import Collective
from pipelines.ranks.final import is_known_final
from pipelines.ranks.meeting import joined, meet
from pipelines.ranks.pulse import beating
from pipelines.ranks.report import Address, Reporter, beat_of

if TYPE_CHECKING:
    from pyspark import BarrierTaskContext


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
    backend: Backend
    gpus: int = 0
    """GPUs of each rank, as asked of Spark."""
    hang_timeout: float | None = None


def run_rank(context: BarrierTaskContext, attempt: Attempt, task: Task) -> Any:
    """Run `task` as one rank of a barrier stage and return its result."""
    rank, backend = context.partitionId(), attempt.backend
    reporter = Reporter(attempt.address, rank, attempt.number)
    try:
        with beating(reporter.tell, beat_of(attempt.hang_timeout)) as pulse:
            meeting = meet(context) if attempt.size > 1 else None
            backend.prepare(attempt.threads, given_gpus(context.resources(), attempt.gpus))
            reporter.tell({"event": "prepared"})
            with joined(context, meeting, attempt.hang_timeout, backend) as collective:
                reporter.tell({"event": "joined"})
                pulse.signs = collective.signs
                result = task(Rank(collective, reporter, attempt.number, attempt.threads))
        reporter.tell({"event": "done"})
    except Exception as error:
        reporter.tell({"event": "failed", **describe(error, backend)})
        raise
    finally:
        reporter.close()
    return result


def describe(error: BaseException, backend: Backend) -> dict[str, Any]:
    """Return what the driver should know of a failure, as plain data."""
    kind, message = backend.told(error) or (type(error).__name__, str(error))
    is_collective = backend.is_of_collective(kind, message)
    is_final = not is_collective and is_known_final(error if kind == type(error).__name__ else kind)
    return {
        "kind": kind,
        "message": message,
        "traceback": "".join(traceback.format_exception(error))[-8000:],
        "is_collective": is_collective,
        "is_final": is_final,
    }


def given_gpus(resources: Mapping[str, Any], wanted: int) -> list[str]:
    """Return the addresses of a task's GPUs. Raises TrainingError where Spark gave it too few."""
    found = list(resources["gpu"].addresses) if "gpu" in resources else []
    if len(found) < wanted:
        raise TrainingError(
            f"Spark gave this rank the GPUs {found}, expected {wanted} of them "
            "(`train.resources.gpu`). Please report this."
        )
    return found
