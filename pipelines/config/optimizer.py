"""Settings of the optimizer and of its learning rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings import Settings


class Optimizer(Settings):
    """Optimizer by its Keras name, with its main arguments."""

    name: Literal["sgd", "adam", "adamw"] = "adam"
    """Which one."""
    learning_rate: float = Field(1e-3, gt=0)
    """The highest rate: what the warm-up rises to and the schedule falls from."""
    reference_batch_size: int | None = Field(None, ge=1)
    """Batch size that `learning_rate` was found for: it is scaled from this one to
    `train.batch_size`. Null leaves it as it is."""
    scaling: Literal["linear", "sqrt"] = "linear"
    """How the rate follows `train.batch_size` / `reference_batch_size`."""
    weight_decay: float | None = Field(None, ge=0)
    """Share of the weights taken off in each step, times the learning rate. Null is none for
    `sgd` and `adam`, 0.004 for `adamw`."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of `sgd` alone."""
    nesterov: bool = False
    """Looks ahead along the momentum. Of `sgd` alone."""
    schedule: Literal["constant", "cosine", "linear", "exponential", "step"] = "constant"
    """How the rate falls after the warm-up. `cosine` and `linear` reach their end with the last
    step of the training; `exponential` falls by `decay_rate` every `decay_epochs`, smoothly, and
    `step` all at once."""
    final_share: float = Field(0.0, ge=0, le=1)
    """Share of the rate that `cosine` and `linear` end at."""
    decay_rate: float = Field(0.5, gt=0, le=1)
    """Of `exponential` and `step`: what the rate is multiplied by."""
    decay_epochs: float = Field(1.0, gt=0)
    """Of `exponential` and `step`: epochs in which `decay_rate` is applied once."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises in a line from near zero."""
    warmup_epochs: float = Field(0.0, ge=0)
    """The same in epochs. Give one of the two."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest norm of the global batch's whole gradient; a longer one is shortened to it."""
    clip_value: float | None = Field(None, gt=0)
    """Largest absolute value of each part of the gradient. Give one of the two."""

    @model_validator(mode="after")
    def _fits_together(self) -> Optimizer:
        for one, other in (("warmup_steps", "warmup_epochs"), ("clip_norm", "clip_value")):
            if getattr(self, one) and getattr(self, other):
                raise ValueError(
                    f"`train.optimizer.{one}` and `train.optimizer.{other}` are both given; "
                    "leave one of them out"
                )
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError(
                "`train.optimizer.nesterov: true` needs `train.optimizer.name: sgd` with a "
                f"momentum, received {self.name} with momentum {self.momentum}"
            )
        return self
