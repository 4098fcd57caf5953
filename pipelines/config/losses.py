"""Losses, and what follows from them: the kind of label, its metrics, what can be monitored."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Loss = Literal["binary_crossentropy", "categorical_crossentropy", "mse", "mae", "huber"]
Task = Literal["binary", "classes", "number"]
"""What a model says of a row: the chance of a yes, one of several classes, or a number."""

Metric = Literal["roc_auc", "log_loss", "accuracy", "precision", "recall", "f1", "mse", "mae", "r2"]
"""Every metric of the test split, in the order in which they are shown."""
ALL_METRICS: tuple[Metric, ...] = get_args(Metric)


class About(NamedTuple):
    """What a metric is called in a sentence, and whether more of it is better, up to 1."""

    title: str
    is_higher_better: bool = True
    is_share: bool = True


ABOUT: dict[str, About] = {
    "roc_auc": About("ROC AUC"),
    "log_loss": About("log loss", is_higher_better=False, is_share=False),
    "accuracy": About("accuracy"),
    "precision": About("precision"),
    "recall": About("recall"),
    "f1": About("F1"),
    "mse": About("mean squared error", is_higher_better=False, is_share=False),
    "mae": About("mean absolute error", is_higher_better=False, is_share=False),
    "r2": About("R2", is_share=False),
}
_OF_NUMBERS: tuple[Metric, ...] = ("mse", "mae", "r2")
_OF_CLASSES = tuple(name for name in ALL_METRICS if name not in _OF_NUMBERS)
METRICS: dict[Task, tuple[Metric, ...]] = {
    "binary": _OF_CLASSES,
    "classes": _OF_CLASSES,
    "number": _OF_NUMBERS,
}
"""Metrics of the test split. Of classes precision, recall, F1 and ROC AUC (one against the rest)
are means over the classes."""
Monitored = Literal["val_loss", "val_accuracy", "val_roc_auc", "val_mae", "val_mse"]
MONITORS: dict[Task, tuple[Monitored, ...]] = {
    "binary": ("val_loss", "val_accuracy", "val_roc_auc"),
    "classes": ("val_loss", "val_accuracy"),
    "number": ("val_loss", "val_mae", "val_mse"),
}
"""Metrics of the validation split after each epoch."""


def task_of(loss: str) -> Task:
    """Return what a model with this loss says of a row."""
    if loss == "binary_crossentropy":
        return "binary"
    return "classes" if loss == "categorical_crossentropy" else "number"


def is_higher_better(metric: str) -> bool:
    """Tell whether a metric (also one of validation, `val_accuracy`) is better when higher."""
    about = ABOUT.get(metric.removeprefix("val_"))
    return about is not None and about.is_higher_better
