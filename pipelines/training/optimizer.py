"""Optimizers from settings. Gradients reach them reduced: clipping sees the global gradient."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import keras  # noqa: TID253 - a class of Keras, imported inside functions only

from pipelines.config.optimizer import Optimizer

_ADAMW_DECAY = 0.004
"""Keras' own default."""


@dataclass(frozen=True)
class Pace:
    """How a training goes: what a learning rate may depend on."""

    steps_per_epoch: int
    epochs: int
    batch_size: int = 1

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_per_epoch * self.epochs


def peak_rate(settings: Optimizer, batch_size: int) -> float:
    """Return the highest learning rate: the one asked for, scaled with the batch."""
    if settings.reference_batch_size is None:
        return settings.learning_rate
    ratio = batch_size / settings.reference_batch_size
    return settings.learning_rate * (ratio if settings.scaling == "linear" else math.sqrt(ratio))


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line over the warm-up, then goes on as the schedule says."""

    def __init__(self, settings: Optimizer, pace: Pace) -> None:
        self.settings = settings
        self.pace = pace
        self._peak = peak_rate(settings, pace.batch_size)
        in_epochs = settings.warmup_epochs * pace.steps_per_epoch
        self._warmup = settings.warmup_steps or round(in_epochs)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step (from 0)."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        rate = self._peak * self._decayed(step)
        if self._warmup:
            rate = rate * ops.minimum(1.0, (step + 1) / self._warmup)
        return ops.cast(rate, "float32")

    def _decayed(self, step: Any) -> Any:
        """Return the share of the peak that the schedule leaves at a step."""
        ops, chosen = keras.ops, self.settings
        after = ops.maximum(step - self._warmup, 0.0)
        if chosen.schedule in ("cosine", "linear"):
            part = ops.minimum(after / max(1, self.pace.total_steps - self._warmup), 1.0)
            left = 1 - part if chosen.schedule == "linear" else 0.5 * (1 + ops.cos(math.pi * part))
            return chosen.final_share + (1 - chosen.final_share) * left
        if chosen.schedule in ("exponential", "step"):
            times = after / (chosen.decay_epochs * self.pace.steps_per_epoch)
            times = ops.floor(times) if chosen.schedule == "step" else times
            return ops.exp(math.log(chosen.decay_rate) * times)
        return ops.ones_like(step)

    def get_config(self) -> dict[str, Any]:
        """Return what the schedule is made from."""
        return {"settings": self.settings.model_dump(), "pace": asdict(self.pace)}


def build_optimizer(settings: Optimizer, pace: Pace) -> keras.optimizers.Optimizer:
    """Return the optimizer of a training that goes at a pace."""
    shared = {
        "learning_rate": WarmUpAndDecay(settings, pace),
        "weight_decay": settings.weight_decay,
        "global_clipnorm": settings.clip_norm,
        "clipvalue": settings.clip_value,
    }
    if settings.name == "sgd":
        return keras.optimizers.SGD(
            momentum=settings.momentum, nesterov=settings.nesterov, **shared
        )
    if settings.name == "adamw":
        decay = _ADAMW_DECAY if settings.weight_decay is None else settings.weight_decay
        return keras.optimizers.AdamW(**{**shared, "weight_decay": decay})
    return keras.optimizers.Adam(**shared)
