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

    from pyspark.sql import DataFrame

Array = npt.NDArray[np.float64]

BINS = 10_000
_SMALLEST = 1e-7


@dataclass(frozen=True)
class Performance:
    """Metrics of one day and model version, or of all days (`scoring_date` None).

    Where labels are missing, or all of one kind, a metric that needs them is None.
    """

    scoring_date: dt.date | None
    model_version: int | None
    num_rows: int
    num_labelled: int
    predicted_rate: float | None
    """Mean predicted probability of the labelled rows."""
    observed_rate: float | None
    """Share of positive labels."""
    roc_auc: float | None
    log_loss: float | None
    accuracy: float | None


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


def binned(labelled: DataFrame, threshold: float) -> DataFrame:
    """Reduce rows of (scoring_date, model_version, prediction, label) to sums per bin of a day."""
    from pyspark.sql import functions as F

    probability = F.col("prediction")
    label = F.col("label").cast("double")
    clipped = F.greatest(F.least(probability, F.lit(1 - _SMALLEST)), F.lit(_SMALLEST))
    loss = -(label * F.log(clipped) + (1 - label) * F.log(1 - clipped))
    hit = (probability >= threshold).cast("double") == label
    has_label = label.isNotNull()
    return (
        labelled.withColumn("bin", F.least(F.floor(probability * BINS), F.lit(BINS - 1)))
        .groupBy("scoring_date", "model_version", "bin")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count(label).alias("labelled"),
            F.coalesce(F.sum(label), F.lit(0.0)).alias("positives"),
            F.coalesce(F.sum(F.when(has_label, probability)), F.lit(0.0)).alias("predicted"),
            F.coalesce(F.sum(loss), F.lit(0.0)).alias("loss"),
            F.coalesce(F.sum(hit.cast("int")), F.lit(0)).alias("hits"),
        )
    )


def summarise(
    bins: list[Any], scoring_date: dt.date | None = None, model_version: int | None = None
) -> Performance:
    """Return the metrics of rows made by `binned`."""
    index = np.array([int(row["bin"]) for row in bins], dtype=np.int64)
    columns = {
        name: np.array([float(row[name]) for row in bins])
        for name in ("rows", "labelled", "positives", "predicted", "loss", "hits")
    }
    labelled = columns["labelled"].sum()
    positives = np.zeros(BINS)
    negatives = np.zeros(BINS)
    np.add.at(positives, index, columns["positives"])
    np.add.at(negatives, index, columns["labelled"] - columns["positives"])

    def mean(name: str) -> float | None:
        return float(columns[name].sum() / labelled) if labelled else None

    return Performance(
        scoring_date=scoring_date,
        model_version=model_version,
        num_rows=int(columns["rows"].sum()),
        num_labelled=int(labelled),
        predicted_rate=mean("predicted"),
        observed_rate=mean("positives"),
        roc_auc=roc_auc_of_bins(positives, negatives),
        log_loss=mean("loss"),
        accuracy=mean("hits"),
    )


@dataclass(frozen=True)
class Judged:
    """Performance of every day and model version, and of the newest version of each day."""

    all: list[Performance]
    in_use: list[Performance]
    overall: Performance
    """Of the versions in use, all days together."""


def performance(labelled: DataFrame, threshold: float) -> Judged:
    """Judge predictions by day and model version.

    A day that several versions have scored counts with the newest of them: the one whose
    predictions were in use last.
    """
    by_day: dict[tuple[Any, int], list[Any]] = {}
    for row in binned(labelled, threshold).collect():
        by_day.setdefault((row["scoring_date"], row["model_version"]), []).append(row)
    newest = dict(sorted(by_day))
    judged = {day: summarise(by_day[day], *day) for day in sorted(by_day)}
    used = [row for day in newest.items() for row in by_day[day]]
    return Judged(
        all=list(judged.values()),
        in_use=[judged[day] for day in newest.items()],
        overall=summarise(used),
    )
