"""Performance of predictions whose labels have arrived.

Spark reduces prediction rows to counts per narrow bin of the probability, so the driver holds a
bounded number of rows whatever the table's size. ROC AUC from the bins treats predictions of one
bin as ties; with `BINS` bins that moves it by less than 1e-4 here. The other metrics are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import datetime as dt

    from pyspark.sql import Column, DataFrame

    from pipelines.config.losses import Task

Array = npt.NDArray[np.float64]

BINS = 10_000
_SMALLEST = 1e-7


@dataclass(frozen=True)
class Performance:
    """Metrics of one day and model version, or of all days (`scoring_date` None).

    Where labels are missing, or all of one kind, a metric that needs them is None; so are those
    that a model's task does not have.
    """

    scoring_date: dt.date | None
    model_version: int | None
    num_rows: int
    num_labelled: int
    predicted_rate: float | None
    """Mean predicted probability, or number, of the labelled rows."""
    observed_rate: float | None
    """Share of positive labels, or the labels' mean."""
    roc_auc: float | None
    log_loss: float | None
    accuracy: float | None
    mae: float | None = None
    """Mean absolute error of a number."""
    mse: float | None = None
    """Mean squared error of a number."""


_METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("predicted", "positives", "loss", "hits"),
    "classes": ("loss", "hits"),
    "number": ("predicted", "positives", "absolute", "squared"),
}
"""Sums that a task's predictions have."""


def roc_auc_of_bins(positives: Array, negatives: Array) -> float | None:
    """Return ROC AUC from counts per bin, bins in the order of the score; None for one class.

    Each pair of a positive and a negative row counts 1 if the positive lies higher, 1/2 in the same
    bin (Mann-Whitney).
    """
    total = positives.sum() * negatives.sum()
    if total == 0:
        return None
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2.0)).sum() / total)


def binned(labelled: DataFrame, threshold: float, task: Task = "binary") -> DataFrame:
    """Reduce predictions with their `label` to sums per bin of a day; only binary ones have bins.

    Rows are (scoring_date, model_version, prediction, label), of classes also predicted_class and
    probabilities.
    """
    from pyspark.sql import functions as F

    prediction = F.col("prediction")
    label = F.col("label").cast("double")
    has_label = label.isNotNull()
    if task == "binary":
        hit = (prediction >= threshold).cast("double") == label
        loss = -(label * _log(prediction) + (1 - label) * _log(1 - prediction))
        place = F.least(F.floor(prediction * BINS), F.lit(BINS - 1))
    else:
        hit, loss, place = F.lit(None).cast("boolean"), F.lit(None).cast("double"), F.lit(0)
    if task == "classes":
        hit = F.col("predicted_class") == label
        # A label that is no class has no probability: the worst there is.
        share = F.get("probabilities", label.try_cast("int"))
        loss = F.when(has_label, -_log(F.coalesce(share, F.lit(0.0))))
    error = prediction - label
    sums = {
        "positives": label,
        "predicted": F.when(has_label, prediction),
        "loss": loss,
        "hits": hit.cast("int"),
        "absolute": F.abs(error),
        "squared": error * error,
    }
    return (
        labelled.withColumn("bin", place)
        .groupBy("scoring_date", "model_version", "bin")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count(label).alias("labelled"),
            *[F.coalesce(F.sum(sums[name]), F.lit(0.0)).alias(name) for name in sums],
        )
    )


def _log(share: Column) -> Column:
    from pyspark.sql import functions as F

    return F.log(F.greatest(F.least(share, F.lit(1 - _SMALLEST)), F.lit(_SMALLEST)))


def summarise(
    bins: list[Any],
    scoring_date: dt.date | None = None,
    model_version: int | None = None,
    task: Task = "binary",
) -> Performance:
    """Return the metrics of rows made by `binned`."""
    index = np.array([int(row["bin"]) for row in bins], dtype=np.int64)
    names = ("rows", "labelled", "positives", *_METRICS[task])
    columns = {name: np.array([float(row[name]) for row in bins]) for name in names}
    labelled = columns["labelled"].sum()

    def mean(name: str) -> float | None:
        has_it = labelled and name in _METRICS[task]
        return float(columns[name].sum() / labelled) if has_it else None

    area = None
    if task == "binary":
        positives = np.zeros(BINS)
        negatives = np.zeros(BINS)
        np.add.at(positives, index, columns["positives"])
        np.add.at(negatives, index, columns["labelled"] - columns["positives"])
        area = roc_auc_of_bins(positives, negatives)
    return Performance(
        scoring_date=scoring_date,
        model_version=model_version,
        num_rows=int(columns["rows"].sum()),
        num_labelled=int(labelled),
        predicted_rate=mean("predicted"),
        observed_rate=mean("positives"),
        roc_auc=area,
        log_loss=mean("loss"),
        accuracy=mean("hits"),
        mae=mean("absolute"),
        mse=mean("squared"),
    )


@dataclass(frozen=True)
class Judged:
    """Performance of every day and model version, and of the newest version of each day."""

    all: list[Performance]
    in_use: list[Performance]
    overall: Performance
    """Of the versions in use, all days together."""


def performance(labelled: DataFrame, threshold: float, task: Task = "binary") -> Judged:
    """Judge predictions by day and model version.

    A day that several versions have scored counts with the newest of them: the one whose
    predictions were in use last.
    """
    by_day: dict[tuple[Any, int], list[Any]] = {}
    for row in binned(labelled, threshold, task).collect():
        by_day.setdefault((row["scoring_date"], row["model_version"]), []).append(row)
    newest = dict(sorted(by_day))
    judged = {day: summarise(by_day[day], *day, task) for day in sorted(by_day)}
    used = [row for day in newest.items() for row in by_day[day]]
    return Judged(
        all=list(judged.values()),
        in_use=[judged[day] for day in newest.items()],
        overall=summarise(used, task=task),
    )
