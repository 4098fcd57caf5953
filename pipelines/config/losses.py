"""Losses, and what follows from them: the kind of label, its metrics, what can be monitored."""

from __future__ import annotations

from typing import Literal

Loss = Literal["binary_crossentropy", "categorical_crossentropy", "mse", "mae", "huber"]
Task = Literal["binary", "classes", "number"]
"""What a model says of a row: the chance of a yes, one of several classes, or a number."""

_CLASSIFICATION = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": _CLASSIFICATION,
    "classes": _CLASSIFICATION,
    "number": ("mse", "mae", "r2"),
}
"""Metrics of the test split. Of classes precision, recall, F1 and ROC AUC (one against the rest)
are means over the classes."""
MONITORS: dict[Task, tuple[str, ...]] = {
    "binary": ("val_loss", "val_accuracy", "val_roc_auc"),
    "classes": ("val_loss", "val_accuracy"),
    "number": ("val_loss", "val_mae", "val_mse"),
}
"""Metrics of the validation split after each epoch."""
HIGHER_IS_BETTER = frozenset({"accuracy", "precision", "recall", "f1", "roc_auc", "r2"})


def task_of(loss: str) -> Task:
    """Return what a model with this loss says of a row."""
    if loss == "binary_crossentropy":
        return "binary"
    return "classes" if loss == "categorical_crossentropy" else "number"


def is_higher_better(metric: str) -> bool:
    """Tell whether a metric (also one of validation, `val_accuracy`) is better when higher."""
    return metric.removeprefix("val_") in HIGHER_IS_BETTER
