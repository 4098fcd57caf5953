"""Performance of predictions whose labels have arrived.

Spark reduces prediction rows to counts per narrow bin of the probability, so the driver holds a
bounded number of rows whatever the table's size. ROC AUC from the bins treats predictions of one
bin as ties; with `BINS` bins that moves it by less than 1e-4 here. The other metrics are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import functions as F

from pipelines.registry.calibration import Calibration, calibration

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
    rate_error: float | None = None
    """Standard error of the difference of predicted and observed rate, or mean."""
    calibration_error: float | None = None
    """Mean distance of predicted and observed rate over ten groups of rows (ECE)."""
    calibration_by_chance: float | None = None
    """What it would be of a model that is right, on as many rows."""
    guess_loss: float | None = None
    """Log loss (of numbers: mean squared error) of a constant guess on the same rows."""
    guess_error: float | None = None
    """Standard error of the difference of the model's loss and that one."""
    label_deviation: float | None = None
    """Standard deviation of the labels, where they are numbers."""


_METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("predicted", "positives", "loss", "hits", "residual", "squared", "margin"),
    "classes": ("loss", "hits", "margin"),
    "number": ("predicted", "positives", "absolute", "squared", "residual", "margin"),
}
"""Sums that a task's predictions have."""
_SUMS = (
    *("predicted", "positives", "loss", "hits", "absolute", "squared", "residual"),
    *("margin", "margins", "offset", "spread"),
)
_GROUPS = 10


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


def binned(
    labelled: DataFrame,
    threshold: float,
    task: Task = "binary",
    guess: Sequence[float] | None = None,
) -> DataFrame:
    """Reduce predictions with their `label` to sums per bin of a day; only binary ones have bins.

    Rows are (scoring_date, model_version, prediction, label), of classes also predicted_class and
    probabilities. `guess` is what a constant guess says: one value, or each class's share.
    """
    prediction = F.col("prediction")
    label = F.col("label").cast("double")
    label = F.when(~F.isnan(label), label)  # NaN is no label, in training neither
    has_label = label.isNotNull()
    if task == "binary":
        is_yes = (prediction >= threshold).cast("int")
        if "predicted_class" in labelled.columns:  # what was said, whatever the threshold is now
            is_yes = F.coalesce("predicted_class", is_yes)
        hit = is_yes.cast("double") == label
        loss, other = (
            -(label * _log(chance) + (1 - label) * _log(1 - chance))
            for chance in (prediction, F.lit(guess[0] if guess else None).cast("double"))
        )
        place = F.least(F.floor(prediction * BINS), F.lit(BINS - 1))
    else:
        hit, loss, place = F.lit(None).cast("boolean"), F.lit(None).cast("double"), F.lit(0)
        other = loss
    if task == "classes":
        hit = F.col("predicted_class") == label
        # A label that is no class has no probability: the worst there is.
        share = F.get("probabilities", label.try_cast("int"))
        loss = F.when(has_label, -_log(F.coalesce(share, F.lit(0.0))))
        shares = F.array(*map(F.lit, guess)) if guess else F.lit(None).cast("array<double>")
        other = -_log(F.get(shares, label.try_cast("int")))
    error = prediction - label
    centre = F.lit(guess[0] if guess else 0.0)
    offset = label - centre
    distance = offset * offset
    margin = error * error - distance if task == "number" and guess else loss - other
    sums = {
        "positives": label,
        "predicted": F.when(has_label, prediction),
        "loss": loss,
        "hits": hit.cast("int"),
        "absolute": F.abs(error),
        "squared": error * error,
        "residual": error,
        "offset": offset,
        "spread": distance,
        "margin": margin,
        "margins": margin * margin,
    }
    return (
        labelled.withColumn("bin", place)
        .groupBy("scoring_date", "model_version", "bin")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count(label).alias("labelled"),
            F.count(margin).alias("guessed"),
            *[F.coalesce(F.sum(sums[name]), F.lit(0.0)).alias(name) for name in _SUMS],
        )
    )


def _log(share: Column) -> Column:
    return F.log(F.greatest(F.least(share, F.lit(1 - _SMALLEST)), F.lit(_SMALLEST)))


def summarise(
    bins: list[Any],
    scoring_date: dt.date | None = None,
    model_version: int | None = None,
    task: Task = "binary",
) -> Performance:
    """Return the metrics of rows made by `binned`."""
    index = np.array([int(row["bin"]) for row in bins], dtype=np.int64)
    names = ("rows", "labelled", "guessed", *_SUMS)
    columns = {name: np.array([float(row[name]) for row in bins]) for name in names}
    labelled = columns["labelled"].sum()
    days = np.array([str(row["scoring_date"]) for row in bins])

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
    calibrated = _calibration(index, columns) if task == "binary" else None
    loss = mean("squared" if task == "number" else "loss")
    has_guess = bool(columns["guessed"].sum())
    margin = mean("margin") if has_guess else None
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
        mse=mean("squared") if task == "number" else None,
        rate_error=_standard_error(days, columns, "residual", "squared")
        if labelled and task != "classes"
        else None,
        calibration_error=calibrated.error if calibrated else None,
        calibration_by_chance=calibrated.by_chance if calibrated else None,
        guess_loss=loss - margin if loss is not None and margin is not None else None,
        guess_error=_standard_error(days, columns, "margin", "margins") if has_guess else None,
        label_deviation=_deviation(columns) if labelled and task == "number" else None,
    )


def _standard_error(days: Any, columns: Mapping[str, Array], name: str, squares: str) -> float:
    """Return the standard error of a mean over labelled rows.

    Rows of a day have much in common, so it is taken from the days' sums too: the larger counts.
    """
    labelled, total = columns["labelled"].sum(), columns[name].sum()
    mean = total / labelled
    alone = max(0.0, columns[squares].sum() / labelled - mean**2) / labelled
    _, place = np.unique(days, return_inverse=True)
    off = np.bincount(place, columns[name]) - mean * np.bincount(place, columns["labelled"])
    num_days = int((np.bincount(place, columns["labelled"]) > 0).sum())
    together = (off**2).sum() / labelled**2 * num_days / (num_days - 1) if num_days > 1 else 0.0
    return float(np.sqrt(max(alone, together)))


def _calibration(index: Any, columns: Mapping[str, Array]) -> Calibration | None:
    """Return the calibration of some ten groups of rows, by their predictions."""
    order = np.argsort(index, kind="stable")
    labelled = columns["labelled"][order]
    before = np.cumsum(labelled) - labelled
    # All rows of a narrow bin lie in one group.
    _, first = np.unique(index[order], return_index=True)
    before = np.repeat(before[first], np.diff([*first, len(order)]))
    group = np.floor(before / max(1.0, labelled.sum()) * _GROUPS).astype(np.int64)
    rows, predicted, observed = (
        np.bincount(group, columns[name][order], minlength=_GROUPS)
        for name in ("labelled", "predicted", "positives")
    )
    held = rows > 0
    rows, predicted, observed = rows[held], predicted[held], observed[held]
    return calibration(
        zip(rows.tolist(), (predicted / rows).tolist(), (observed / rows).tolist(), strict=True)
    )


def _deviation(columns: Mapping[str, Array]) -> float:
    """Return the labels' standard deviation from their sums around the guess."""
    labelled = columns["labelled"].sum()
    mean_square = columns["spread"].sum() / labelled
    mean = columns["offset"].sum() / labelled
    return float(np.sqrt(max(0.0, mean_square - mean**2)))


@dataclass(frozen=True)
class Judged:
    """Performance of every day and model version, and of the newest version of each day."""

    all: list[Performance]
    in_use: list[Performance]
    overall: Performance
    """Of the versions in use, all days together."""


def performance(
    labelled: DataFrame,
    threshold: float,
    task: Task = "binary",
    guess: Sequence[float] | None = None,
) -> Judged:
    """Judge predictions by day and model version, beside a constant `guess` (see `binned`).

    A day that several versions have scored counts with the newest of them: the one whose
    predictions were in use last.
    """
    by_day: dict[tuple[Any, int], list[Any]] = {}
    for row in binned(labelled, threshold, task, guess).collect():
        by_day.setdefault((row["scoring_date"], row["model_version"]), []).append(row)
    newest = dict(sorted(by_day))
    judged = {day: summarise(by_day[day], *day, task) for day in sorted(by_day)}
    used = [row for day in newest.items() for row in by_day[day]]
    return Judged(
        all=list(judged.values()),
        in_use=[judged[day] for day in newest.items()],
        overall=summarise(used, task=task),
    )
