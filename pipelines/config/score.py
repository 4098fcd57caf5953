"""Settings of `score` and `monitor`."""

from __future__ import annotations

from pydantic import Field

from pipelines.config.base import Settings
from pipelines.config.names import TableName


class Score(Settings):
    """Settings of the stage `score`, which writes `predictions.<model>`."""

    model: TableName
    """Registered name of the model, and of its predictions table."""
    batch_size: int = Field(8192, ge=1)
    """Rows given to the model at once; smaller where rows are large (images are decoded then)."""
    decision_threshold: float = Field(0.5, gt=0, lt=1)
    """Probability from which a row counts as positive."""


class Drift(Settings):
    """When a change of a feature's distribution is worth a word (PSI)."""

    warn: float = Field(0.1, gt=0)
    fail: float = Field(0.25, gt=0)
    bins: int = Field(10, ge=2)
    exclude: tuple[str, ...] = ()
    """Features whose distribution moves by nature (day of the year)."""


class Monitor(Settings):
    """Settings of the stage `monitor`, which writes `monitoring.<model>_*` and a report."""

    drift: Drift = Drift()
    window_days: int = Field(28, ge=1)
    """Days up to the logical date that are compared with the training split."""
    max_auc_drop: float = Field(0.05, gt=0)
    """Loss of ROC AUC against the test split that calls for a new training."""
    max_accuracy_drop: float = Field(0.05, gt=0)
    """The same of accuracy, where classes are predicted."""
    max_mae_rise: float = Field(0.1, gt=0)
    """Where numbers are predicted: rise of the mean absolute error against that of the test split,
    as a share of it, that calls for a new training."""
