"""The training loop of one rank: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.losses import is_higher_better
from pipelines.config.train import EarlyStopping, Train
from pipelines.errors import NotFiniteLoss, TrainingError
from pipelines.ranks.collective import Collective
from pipelines.ranks.rank import Tell
from pipelines.training.checkpoint import Arrays, Checkpoint, Checkpoints, Progress
from pipelines.training.losses import label_range, row_losses
from pipelines.training.rows import Rows
from pipelines.training.scores import Scores
from pipelines.training.step import Stepper, Steps, unpack

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)
JUDGED_VALUES = 20_000_000
"""Labels and outputs that a rank holds at most to judge a split: 80 MB."""
STEPS_A_CALL = 32
"""Steps between two looks of Python: at the loss, at the progress, at checkpoints."""
OnStep = Callable[[int, int, int], None]
"""Called with rank, epoch and step (both from 0) of what comes next; tests break things in it."""


@dataclass(frozen=True)
class Surroundings:
    """What a loop works with besides its model."""

    settings: Train
    rows: Rows
    collective: Collective
    reporter: Tell
    checkpoints: Checkpoints
    on_step: OnStep | None = None
    class_weights: Sequence[float] | None = None
    """Weight of each class's rows in the training loss."""
    threshold: float = 0.5
    """Probability from which a row counts as a yes."""


class Loop:
    """Trains a model to its last epoch, from wherever the last checkpoint is."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        around: Surroundings,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.around = around
        self.settings = around.settings
        self.collective = around.collective
        self.progress = Progress()
        self._best: list[np.ndarray[Any, Any]] = []
        self._stepper = Stepper(
            model, optimizer, self.settings, self.collective, around.class_weights
        )
        self._scorer = _scorer(model, self.settings)

    def run(self) -> Progress:
        """Train; leave the best weights (with early stopping) or the last ones in the model."""
        self._resume()
        while self.progress.epoch < self.settings.epochs and not self.progress.is_stopped:
            self._epoch()
        if self._best:
            _assign(self.model.variables, self._best)
        return self.progress

    def _resume(self) -> None:
        """Take over rank 0's last checkpoint, or its initial weights, on every rank."""
        mine = self.around.checkpoints.last() if self.collective.rank == 0 else None
        shared = self.collective.share(None if mine is None else mine.plain())
        found = None if shared is None else Checkpoint.of(shared)
        if found is None:
            self.collective.broadcast([*self.model.variables, *self.optimizer.variables])
            return
        self.progress = found.progress
        _assign(self.model.variables, found.arrays["weights"])
        _assign(self.optimizer.variables, found.arrays["optimizer"])
        self._best = found.arrays.get("best", [])
        where = f"epoch {self.progress.epoch + 1}, step {self.progress.step + 1}"
        self._tell({"event": "note", "text": f"going on from a checkpoint at {where}"})

    def _epoch(self) -> None:
        now = self.progress
        part = self.around.rows.training(
            now.epoch, self.collective.rank, self.collective.size, now.step
        )
        iterator = iter(part.dataset)
        every = self.settings.checkpoint_steps
        while now.step < part.steps:
            if self.around.on_step:
                self.around.on_step(self.collective.rank, now.epoch, now.step)
            began = time.monotonic()
            until = part.steps if not every else (now.step // every + 1) * every
            count = min(STEPS_A_CALL, part.steps - now.step, until - now.step)
            self._add(self._stepper.run(iterator, count, now.epoch), part.steps)
            now.seconds += time.monotonic() - began
            if every and now.step % every == 0 and now.step < part.steps:
                self._average_statistics()
                self._save()
            self._tell(
                {
                    "event": "step",
                    "epoch": now.epoch + 1,
                    "epochs": self.settings.epochs,
                    "step": now.step,
                    "steps": part.steps,
                    "loss": now.loss_sum / (now.weight_sum or 1.0),
                }
            )
        if round(now.row_sum) != part.num_rows:
            raise TrainingError(
                f"epoch {now.epoch + 1} trained on {now.row_sum:,.0f} rows; expected each of the "
                f"{part.num_rows:,} rows of the training split once. Was a file of the training "
                "set changed meanwhile? Run `tidemill normalize` and train again under a new run "
                "id."
            )
        self._end_epoch()

    def _add(self, steps: Steps, total: int) -> None:
        """Add steps to the epoch's sums; refuse bad labels, and what is no number.

        Counts and losses are sums over all ranks: every rank sees the same and stops at the same
        step.
        """
        now = self.progress
        if steps.bad.any():
            self._refuse_labels(steps, total)
        bad = np.flatnonzero(~np.isfinite(steps.loss + steps.gradient))
        if len(bad):
            step = now.step + int(bad[0]) + 1
            raise NotFiniteLoss(
                f"the loss became {steps.loss[bad[0]]}, its gradient {steps.gradient[bad[0]]}, in "
                f"epoch {now.epoch + 1}, step {step} of {total}. Expected numbers: lower "
                "`train.optimizer.learning_rate`, set `train.optimizer.clip_norm`, or look for "
                "extreme inputs. The last good checkpoint is kept."
            )
        now.step += len(steps.loss)
        now.loss_sum += float((steps.loss * steps.weight).sum())
        now.weight_sum += float(steps.weight.sum())
        now.row_sum += float(steps.rows.sum())
        added = steps.labels.sum(axis=0)
        now.label_sum = [float(value) for value in added + np.asarray(now.label_sum or 0.0)]
        now.waited += steps.waited

    def _waiting_shares(self) -> np.ndarray[Any, Any]:
        """Return the share of the epoch in which each rank waited for rows."""
        now = self.progress
        mine = now.waited / now.seconds if now.seconds else 0.0
        return self.collective.gather(np.array([mine], dtype=np.float64))

    def _refuse_labels(self, steps: Steps, total: int) -> None:
        first = int(np.flatnonzero(steps.bad)[0])
        extremes = self.collective.gather(np.array([steps.lowest[first], steps.highest[first]]))
        raise TrainingError(
            f"{steps.bad[first]:.0f} labels (column `_label`) of epoch {self.progress.epoch + 1}, "
            f"step {self.progress.step + first + 1} of {total} are out of range: the step's labels "
            f"go from {extremes.min():g} to {extremes.max():g}. "
            f"`train.loss: {self.settings.loss}` takes {label_range(self.settings)}."
        )

    def _end_epoch(self) -> None:
        now = self.progress
        self._average_statistics()
        validation = self._validate()
        waits = self._waiting_shares()
        record: dict[str, Any] = {
            "epoch": now.epoch + 1,
            "loss": now.loss_sum / (now.weight_sum or 1.0),
            **{f"val_{name}": value for name, value in validation.items()},
            "seconds": round(now.seconds, 3),
            "waiting_share": round(float(waits.mean()), 4),
            "waiting_share_max": round(float(waits.max()), 4),
            "rows_per_second": round(now.row_sum / now.seconds) if now.seconds else 0,
        }
        if now.train_mean is None:
            now.train_mean = [value / now.row_sum for value in now.label_sum]
        if not np.isfinite(validation["loss"]):
            raise NotFiniteLoss(
                f"the validation loss of epoch {now.epoch + 1} is {validation['loss']}; expected a "
                "number. Lower `train.optimizer.learning_rate`, or look for extreme inputs in the "
                "validation split. The last good checkpoint is kept."
            )
        now.history.append(record)
        if self.settings.early_stopping:
            self._watch(self.settings.early_stopping, record)
        now.epoch, now.step = now.epoch + 1, 0
        now.loss_sum = now.weight_sum = now.row_sum = now.seconds = now.waited = 0.0
        now.label_sum = []
        self._save()
        self._tell({"event": "epoch", "epochs": self.settings.epochs, **record})

    def _watch(self, rule: EarlyStopping, record: dict[str, Any]) -> None:
        now = self.progress
        value = float(record.get(rule.monitor, float("nan")))
        value = -value if is_higher_better(rule.monitor) else value
        # A metric may be no number (ROC AUC of one class alone): that is never the best.
        if np.isfinite(value) and (now.best is None or value < now.best - rule.min_delta):
            now.best, now.best_epoch, now.stale_epochs = value, now.epoch + 1, 0
            self._best = [variable.numpy() for variable in self.model.variables]
            return
        now.stale_epochs += 1
        now.is_stopped = now.stale_epochs >= rule.patience

    def _average_statistics(self) -> None:
        """Give every rank the mean of what the ranks' layers gathered (batch normalisation)."""
        if self.collective.size == 1:
            return
        gathered = [
            one for one in self.model.non_trainable_variables if str(one.dtype).startswith("float")
        ]
        if not gathered:
            return
        flat = np.concatenate([one.numpy().astype(np.float64).ravel() for one in gathered])
        mean = self.collective.sum_array(flat) / self.collective.size
        ends = np.cumsum([one.numpy().size for one in gathered])[:-1]
        for variable, values in zip(gathered, np.split(mean, ends), strict=True):
            variable.assign(values.reshape(variable.shape))

    def _validate(self) -> dict[str, float]:
        scores = Scores(self.settings.task, self.around.threshold)
        for losses, labels, outputs in self._scored("validation"):
            scores.add(losses, labels, outputs)
        # One rank's word counts, so that all stop in the same epoch.
        return dict(self.collective.share(scores.metrics(self.collective.sum_array(scores.sums))))

    def outputs(self, split: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return labels (rows,) and outputs (rows, outputs) of a split's rows on every rank.

        Of a split with more values than `JUDGED_VALUES`, those of every k-th row: training sets are
        in the order of a hash of the key, so these are rows drawn by chance, the same each time
        on the same number of ranks.
        """
        parts = [
            np.column_stack([labels, out]) for _, labels, out in self._scored(split, JUDGED_VALUES)
        ]
        nothing = np.zeros((0, 1 + self.settings.outputs), np.float32)
        joined = self.collective.gather(np.concatenate([nothing, *parts]))
        return joined[:, 0], joined[:, 1:]

    def _scored(self, split: str, at_most: int | None = None) -> Any:
        """Give losses, labels and outputs by batch; with `at_most` values, of every k-th row."""
        part = self.around.rows.evaluation(split, self.collective.rank, self.collective.size)
        values = part.num_rows * (1 + self.settings.outputs)
        every = 1 if at_most is None else max(1, -(-values // at_most))
        for batch in part.dataset:
            if not len(batch[1]):
                continue
            losses, outputs = self._scorer(batch)
            self.collective.signs.note()
            chosen = batch[0]["row"].numpy() % every == 0
            yield losses.numpy()[chosen], batch[1].numpy()[chosen], outputs.numpy()[chosen]

    def _save(self) -> None:
        if self.collective.rank:
            return
        arrays: Arrays = {
            "weights": [variable.numpy() for variable in self.model.variables],
            "optimizer": [variable.numpy() for variable in self.optimizer.variables],
        }
        if self._best:
            arrays["best"] = self._best
        self.around.checkpoints.save(self.progress, arrays)

    def _tell(self, event: dict[str, Any]) -> None:
        self.around.reporter.tell(event)


def _scorer(model: keras.Model, settings: Train) -> Callable[..., Any]:
    import tensorflow as tf

    def score(batch: tuple[Any, ...]) -> tuple[Any, Any]:
        arrays, labels, _ = unpack(model, batch)
        outputs = tf.cast(model(arrays, training=False), tf.float32)
        return row_losses(settings, labels, outputs), outputs

    compiled: Callable[..., Any] = tf.function(score, autograph=False, reduce_retracing=True)
    return compiled


def _assign(variables: Any, values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
