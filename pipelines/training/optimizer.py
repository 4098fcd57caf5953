"""Optimizers from settings. Gradients reach them reduced: clipping sees the global gradient."""

from __future__ import annotations

import math
from typing import Any

import keras  # noqa: TID253 - a class of Keras, imported inside functions only

from pipelines.config.train import Optimizer

_ADAMW_DECAY = 0.004
"""Keras' own default."""


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line over `warmup_steps`, then stays, or falls to zero along a cosine."""

    def __init__(self, settings: Optimizer, total_steps: int) -> None:
        self.settings = settings
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step (from 0)."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(self.settings.learning_rate, "float32")
        warmup = self.settings.warmup_steps
        if self.settings.schedule == "cosine":
            span = max(1, self.total_steps - warmup)
            share = ops.clip((step - warmup) / span, 0.0, 1.0)
            rate = rate * 0.5 * (1 + ops.cos(math.pi * share))
        if warmup:
            rate = rate * ops.minimum(1.0, (step + 1) / warmup)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return what the schedule is made from."""
        return {"settings": self.settings.model_dump(), "total_steps": self.total_steps}


def build_optimizer(settings: Optimizer, total_steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer for a training of `total_steps` steps."""
    shared = {
        "learning_rate": WarmUpAndDecay(settings, total_steps),
        "weight_decay": settings.weight_decay,
        "global_clipnorm": settings.clip_norm,
    }
    if settings.name == "sgd":
        return keras.optimizers.SGD(momentum=settings.momentum, **shared)
    if settings.name == "adamw":
        decay = _ADAMW_DECAY if settings.weight_decay is None else settings.weight_decay
        return keras.optimizers.AdamW(**{**shared, "weight_decay": decay})
    return keras.optimizers.Adam(**shared)
