"""Where the loop's rows come from: the feed, seen through two questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.config.train import Train
from pipelines.encoding.kind import ModelInput

if TYPE_CHECKING:
    from pipelines.feed.plan import EpochPlan, RankPlan
    from pipelines.lake.snapshot import Snapshot

EVALUATION_ROWS = 8192
"""Rows of a rank's batch in validation and test."""


@dataclass(frozen=True)
class Epoch:
    """A rank's part of one pass. `steps` counts the whole epoch, those before the start too."""

    dataset: Any
    """tf.data.Dataset of `(x, y)` or `(x, y, weight)` as `pipelines.feed` describes them."""
    steps: int
    num_rows: int
    """Rows of the whole pass, over all ranks."""


class Rows(Protocol):
    """Gives a rank its rows."""

    def check(self) -> None:
        """Raise, on the driver and before any rank starts, where rows can't be read as asked."""

    def with_threads(self, threads: int) -> Rows:
        """Return the same rows, read by as many threads as the rank has cores."""

    def training(self, epoch: int, rank: int, size: int, start_step: int) -> Epoch:
        """Return a rank's part of training epoch `epoch` (from 0), from `start_step` on."""

    def evaluation(self, split: str, rank: int, size: int) -> Epoch:
        """Return a rank's part of a split, in order."""


@dataclass(frozen=True)
class FeedRows:
    """The feed's rows of three snapshots, as `settings` ask for them."""

    snapshots: Mapping[str, Snapshot]
    inputs: Sequence[ModelInput]
    settings: Train
    threads: int = 1

    def check(self) -> None:
        """Raise SchemaError for columns a version lacks, PlanError for ranks that don't fit."""
        for snapshot in self.snapshots.values():
            self._columns().check(snapshot)
        self._plan(0).for_rank(0, self.settings.ranks)

    def with_threads(self, threads: int) -> FeedRows:
        """Return the same rows, read by `threads` threads."""
        return replace(self, threads=threads)

    def training(self, epoch: int, rank: int, size: int, start_step: int) -> Epoch:
        """Return a rank's part of a training epoch."""
        plan = self._plan(epoch)
        part = plan.for_rank(rank, size, start_step=start_step)
        return self._epoch(part, plan)

    def evaluation(self, split: str, rank: int, size: int) -> Epoch:
        """Return a rank's part of a split."""
        from pipelines.feed.plan import plan_evaluation

        plan = plan_evaluation(self.snapshots[split], EVALUATION_ROWS * size, streams=size)
        return self._epoch(plan.for_rank(rank, size), plan)

    def _epoch(self, part: RankPlan, plan: EpochPlan) -> Epoch:
        from pipelines.feed.dataset import make_dataset

        dataset = make_dataset(part, self._columns(), threads=self.threads)
        return Epoch(dataset, plan.steps, plan.num_rows)

    def _columns(self) -> Any:
        from pipelines.feed.columns import FeedColumns

        return FeedColumns.of(self.inputs)

    def _plan(self, epoch: int) -> EpochPlan:
        from pipelines.feed.plan import plan_epoch

        return plan_epoch(
            self.snapshots["train"],
            seed=self.settings.seed,
            epoch=epoch,
            global_batch_size=self.settings.batch_size,
            streams=self.settings.streams,
            window_rows=self.settings.window_rows,
        )
