"""Settings of `score` and `monitor`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from pipelines.config.names import TableName
from pipelines.config.threshold import DEFAULT, Threshold
from pipelines.settings import Settings

PREDICTION_COLUMNS = (
    *("scoring_date", "prediction", "predicted_class", "predicted_label", "probabilities"),
    *("model_name", "model_version", "feature_table_version", "run_id", "scored_at"),
    *("explanation", "explanation_base", "explanation_rest", "explanation_residual"),
)
"""Columns of `predictions.<model>` beside key and date of the feature row."""


class Explain(Settings):
    """Reasons beside each prediction: what raw columns add to it, from the training's means on."""

    top: int = Field(5, ge=1)
    """Columns that are told, those that add or take away most; the others are summed up."""


class Score(Settings):
    """Settings of the stage `score`, which writes `predictions.<model>`."""

    model: TableName
    """Registered name of the model, and of its predictions table."""
    batch_size: int = Field(8192, ge=1)
    """Rows given to the model at once; smaller where rows are large (images are decoded then)."""
    threshold: Threshold = DEFAULT
    """Probability from which a row counts as a yes, where the label is yes or no: a number, or what
    `train` chooses one by on the validation split. `f1` makes precision and recall both large,
    `youden` the gap of true and false positive rate; or `{precision: 0.8}`, `{recall: 0.8}`,
    `{costs: {false_positive: 1, false_negative: 5}}`. `train` keeps the number in the bundle: test
    metrics, gate, `score`, the service and `monitor` all go by it, so that what was judged is what
    is used. A changed setting takes effect with the next training."""

    explain: Explain | None = None
    """Whether `score` keeps reasons beside each prediction. It costs many times the prediction."""

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "decision_threshold" not in data:
            return data
        if "threshold" in data:
            raise ValueError(
                "`score.decision_threshold` is the older name of `score.threshold`; give one of "
                "the two"
            )
        return {"threshold" if k == "decision_threshold" else k: v for k, v in data.items()}


class Drift(Settings):
    """When a change of a feature's distribution is worth a word (PSI)."""

    warn: float = Field(0.1, gt=0)
    """Index from which the report warns, where chance alone does not explain it."""
    fail: float = Field(0.25, gt=0)
    """Index from which it calls for a new training; likewise."""
    bins: int = Field(10, ge=2)
    """Bins of a number, between its smallest and largest value in training; what lies below and
    above has bins of its own."""
    exclude: tuple[str, ...] = ()
    """Features whose distribution moves by nature (day of the year)."""

    @model_validator(mode="after")
    def _in_order(self) -> Drift:
        if self.warn > self.fail:
            raise ValueError(
                f"`drift.warn: {self.warn}` must not be above `drift.fail: {self.fail}`"
            )
        return self


class Monitor(Settings):
    """Settings of the stage `monitor`, which writes `monitoring.<model>_*` and a report."""

    drift: Drift = Drift()
    """When a feature has drifted since training."""
    window_days: int = Field(28, ge=1)
    """Days up to the logical date that are compared with the training split."""
    max_auc_drop: float = Field(0.05, gt=0)
    """Loss of ROC AUC against the test split that calls for a new training."""
    max_accuracy_drop: float = Field(0.05, gt=0)
    """The same of accuracy, where classes are predicted."""
    max_mae_rise: float = Field(0.1, gt=0)
    """Where numbers are predicted: rise of the mean absolute error against that of the test split,
    as a share of it, that calls for a new training."""
    max_rate_gap: float = Field(0.5, gt=0)
    """Difference of predicted and observed rate, as a share of the larger one (of the yes or of the
    no), that calls for a new training."""
    max_calibration_error: float = Field(0.1, gt=0)
    """The same of the mean distance of predicted and observed rate over ten groups of rows."""
    max_bias: float = Field(0.5, gt=0)
    """Where numbers are predicted: difference of their mean and that of the labels, in standard
    deviations of the labels, that calls for a new training."""
