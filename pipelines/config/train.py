"""Settings of `train` and `promote`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.base import Settings


class Optimizer(Settings):
    """Optimizer by its Keras name, with its main arguments."""

    name: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of `sgd` alone."""
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = Field(0, ge=0)
    clip_norm: float | None = Field(None, gt=0)


class EarlyStopping(Settings):
    """Stops when the monitored validation metric has not improved for `patience` epochs."""

    monitor: Literal["val_loss", "val_roc_auc"] = "val_loss"
    patience: int = Field(2, ge=1)
    min_delta: float = Field(0.0, ge=0)


class Train(Settings):
    """Settings of the stage `train`."""

    model: str = "mlp"
    """Name of a built-in model, or `module:function(inputs: ModelInputs, **options)`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the model function."""
    loss: Literal["binary_crossentropy", "mse"] = "binary_crossentropy"
    optimizer: Optimizer = Optimizer()
    batch_size: int = Field(1024, ge=1)
    """Rows of a global batch: over all ranks."""
    epochs: int = Field(10, ge=1)
    ranks: int = Field(2, ge=1)
    streams: int = Field(12, ge=1)
    """Logical streams an epoch's order is cut into; the number of ranks divides it."""
    window_rows: int = Field(65_536, ge=1)
    """Rows that are shuffled among each other."""
    seed: int = Field(1, ge=0)
    early_stopping: EarlyStopping | None = EarlyStopping()
    folds: int | None = Field(None, ge=2)
    """Judges the settings by cross-validation, beside the model itself: by date each fold trains on
    all days before those that judge it, by hash on the other folds' keys. `normalize` writes the
    folds; the test split takes no part."""
    checkpoint_steps: int | None = Field(None, ge=1)
    """Steps between checkpoints in an epoch; at each epoch's end there always is one."""
    max_restarts: int = Field(2, ge=0)
    rank_wait: float = Field(120.0, gt=0)
    """Seconds to wait for all ranks before a launch with fewer of them."""

    @model_validator(mode="after")
    def _ranks_divide_streams(self) -> Train:
        if self.streams % self.ranks:
            raise ValueError(
                f"`train.ranks: {self.ranks}` must divide `train.streams: {self.streams}`"
            )
        return self


class Promote(Settings):
    """Settings of `promote`: what a candidate must reach on the test split.

    A metric is better when higher, but for `log_loss`, which is better when lower.
    """

    metric: Literal["roc_auc", "log_loss", "accuracy", "f1", "precision", "recall"] = "roc_auc"
    threshold: float
    """Value the metric must reach."""
    beat_constant: bool = True
    """Refuse a candidate whose log loss is not below that of a constant guess."""
    min_gain: float = 0.0
    """By how much the candidate must be better than the champion on the same rows. Negative
    values tolerate a small loss."""
