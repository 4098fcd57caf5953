"""What ranks compute with, as far as starting them and judging their failures must know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipelines.ranks.collective import Collective


class Backend(Protocol):
    """A library that computes, and what joins its processes. It travels to the ranks, pickled."""

    def prepare(self, threads: int, gpus: Sequence[str]) -> None:
        """Load the library, held to its threads and GPUs, before anything else imports it.

        Raises TrainingError where the process has it already, with others.
        """

    def load_collective(self) -> None:
        """Import what joins ranks, while they meet: it takes seconds."""

    def joined(self) -> Collective:
        """Return the ranks that the process's environment names (`meeting.environment`)."""

    def alone(self) -> Collective:
        """Return the one rank of a training without others."""

    def told(self, error: BaseException) -> tuple[str, str] | None:
        """Return kind and message of the Python error behind one of the library's own, if any."""

    def is_of_collective(self, kind: str, message: str) -> bool:
        """Tell whether an error only says that another rank is gone."""
