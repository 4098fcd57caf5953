"""How good predictions are: metrics, a constant guess beside them, curves for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.config.losses import METRICS, Task

Array = np.ndarray[Any, Any]
_SMALLEST = 1e-15
_ROC_POINTS = 200
_SCATTER_POINTS = 500
_CALIBRATION_BINS = 10
_DRAWS, _DRAWN_ROWS = 200, 20_000


def metrics(
    labels: Array, probabilities: Array, weights: Array | None = None, threshold: float = 0.5
) -> dict[str, float]:
    """Return the metrics of binary predictions.

    `labels` and `probabilities` are (rows,). A row counts as positive from `threshold` on.
    Precision, recall and F1 are 0 where nothing was predicted or nothing is positive; ROC AUC is
    NaN where a class is absent, all of them where there are no rows.
    """
    if not len(labels):
        return dict.fromkeys(METRICS["binary"], float("nan"))
    is_true = np.asarray(labels) > 0.5
    chance = np.asarray(probabilities, dtype=np.float64)
    weight = np.ones(len(chance)) if weights is None else np.asarray(weights, dtype=np.float64)
    is_predicted = chance >= threshold
    hits = weight[is_true & is_predicted].sum()
    precision = _share(hits, weight[is_predicted].sum())
    recall = _share(hits, weight[is_true].sum())
    inside = np.clip(chance, _SMALLEST, 1 - _SMALLEST)
    losses = -np.where(is_true, np.log(inside), np.log1p(-inside))
    return {
        "accuracy": _share(weight[is_true == is_predicted].sum(), weight.sum()),
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * precision * recall, precision + recall),
        "roc_auc": roc_auc(is_true, chance, weight),
        "log_loss": _share((losses * weight).sum(), weight.sum()),
    }


def roc_auc(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Return the area under the ROC curve; NaN where a class is absent."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def class_metrics(labels: Array, probabilities: Array) -> dict[str, float]:
    """Return the metrics of predicted classes; `probabilities` are (rows, classes).

    Precision, recall and F1 are means over the classes that are labels or were predicted, ROC AUC
    (one class against the rest) over those that some labels are and some are not.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if not len(labels):
        return dict.fromkeys(METRICS["classes"], float("nan"))
    is_class = np.asarray(labels).astype(np.int64)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        is_class, predicted, average="macro", zero_division=0
    )
    areas = [roc_auc(is_class == one, chance) for one, chance in enumerate(probabilities.T)]
    known = [area for area in areas if np.isfinite(area)]
    chance = probabilities[np.arange(len(is_class)), is_class]
    return {
        "accuracy": float(np.mean(predicted == is_class)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": float(np.mean(known)) if known else float("nan"),
        "log_loss": float(-np.log(np.maximum(chance, _SMALLEST)).mean()),
    }


def confusion(labels: Array, probabilities: Array) -> list[list[int]]:
    """Return rows by class (outer list) and predicted class."""
    classes = probabilities.shape[1]
    places = np.asarray(labels).astype(np.int64) * classes + probabilities.argmax(axis=1)
    counts = np.bincount(places, minlength=classes * classes)
    return [[int(one) for one in row] for row in counts.reshape(classes, classes)]


def number_metrics(labels: Array, values: Array) -> dict[str, float]:
    """Return `mse`, `mae` and `r2` of predicted numbers; R2 is NaN where all labels are equal."""
    label = np.asarray(labels, dtype=np.float64)
    error = np.asarray(values, dtype=np.float64) - label
    if not len(error):
        return dict.fromkeys(METRICS["number"], float("nan"))
    variance = float(np.var(label))
    mse = float(np.mean(error**2))
    r2 = 1 - mse / variance if variance else float("nan")
    return {"mse": mse, "mae": float(np.mean(np.abs(error))), "r2": r2}


def roc_points(labels: Array, probabilities: Array) -> list[list[float]]:
    """Return at most some 200 points [false positive rate, true positive rate] of the curve."""
    from sklearn.metrics import roc_curve

    if len(np.unique(labels)) < 2:
        return []
    false_rate, true_rate, _ = roc_curve(labels, probabilities)
    places = np.unique(np.linspace(0, len(false_rate) - 1, _ROC_POINTS).round().astype(int))
    return [[round(float(false_rate[i]), 6), round(float(true_rate[i]), 6)] for i in places]


def calibration(labels: Array, probabilities: Array) -> list[dict[str, float]]:
    """Return ten bins of equally many rows: mean probability, share of positives, rows."""
    if not len(labels):
        return []
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, _CALIBRATION_BINS) if len(part)]
    return [
        {
            "predicted": float(np.mean(probabilities[part])),
            "observed": float(np.mean(labels[part])),
            "num_rows": len(part),
        }
        for part in bins
    ]


def scatter(labels: Array, values: Array) -> list[list[float]]:
    """Return at most some 500 rows' [label, value], spread evenly over the labels."""
    order = np.argsort(labels, kind="stable")
    places = np.unique(np.linspace(0, max(0, len(order) - 1), _SCATTER_POINTS).round().astype(int))
    return [[float(labels[i]), float(values[i])] for i in order[places[: len(order)]]]


def predictions(outputs: Array, task: Task) -> Array:
    """Return what outputs (rows, outputs) mean, in float64: probabilities, or the values."""
    values = np.asarray(outputs, dtype=np.float64)
    if task == "number":
        return values
    if task == "binary":
        return np.asarray(1 / (1 + np.exp(-values)))
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def metrics_of(
    labels: Array, predicted: Array, task: Task, threshold: float = 0.5
) -> dict[str, float]:
    """Return a task's metrics of `predictions`, (rows, outputs).

    A probability counts as a yes from `threshold` on.
    """
    if task == "number":
        return number_metrics(labels, predicted[:, 0])
    if task == "binary":
        return metrics(labels, predicted[:, 0], threshold=threshold)
    return class_metrics(labels, predicted)


def evaluation(
    labels: Array,
    outputs: Array,
    means: Sequence[float],
    task: Task,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Return what a bundle keeps of a split.

    `labels` are (rows,), `outputs` (rows, outputs) as the model gives them: logits or values.
    `means` is what a constant guess says: the mean label of the training split, or the share of
    each class. `threshold` is that of the pipeline, from which a chance counts as a yes.
    """
    predicted = predictions(outputs, task)
    guess = np.tile(np.asarray(means, dtype=np.float64), (len(labels), 1))
    found: dict[str, Any] = {
        "num_rows": len(labels),
        "metrics": metrics_of(labels, predicted, task, threshold),
        "constant": metrics_of(labels, guess, task, threshold),
        "guess": [float(value) for value in means],
        "margin": margin(row_losses(labels, predicted, task), row_losses(labels, guess, task)),
    }
    if task == "number":
        return {**found, "scatter": scatter(labels, predicted[:, 0])}
    if task == "classes":
        return {**found, "confusion": confusion(labels, predicted)}
    return {
        **found,
        "positive_rate": float(np.mean(labels)) if len(labels) else None,
        "roc": roc_points(labels, predicted[:, 0]),
        "calibration": calibration(labels, predicted[:, 0]),
    }


def intervals(
    labels: Array, predicted: Array, task: Task, threshold: float = 0.5
) -> dict[str, list[float]]:
    """Return [low, high] of each metric: 95 % of what as many rows drawn again and again give.

    Of more than `_DRAWN_ROWS` rows every k-th counts, so the intervals are wider than need be.
    """
    places = np.arange(0, len(labels), max(1, -(-len(labels) // _DRAWN_ROWS)))
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWS if len(places) else 0):
        chosen = random.choice(places, len(places))
        drawn.append(metrics_of(labels[chosen], predicted[chosen], task, threshold))
    found = {}
    for name in drawn[0] if drawn else ():
        known = [one[name] for one in drawn if np.isfinite(one[name])]
        if known:
            found[name] = [float(value) for value in np.percentile(known, [2.5, 97.5])]
    return found


def row_losses(labels: Array, predicted: Array, task: Task) -> Array:
    """Return each row's log loss, of a number its squared error; `predicted` as `predictions`."""
    if task == "number":
        return np.asarray((predicted[:, 0] - labels) ** 2, dtype=np.float64)
    chances = (
        predicted[np.arange(len(labels)), np.asarray(labels).astype(np.int64)]
        if (task == "classes")
        else np.where(np.asarray(labels) > 0.5, predicted[:, 0], 1 - predicted[:, 0])
    )
    return np.asarray(-np.log(np.clip(chances, _SMALLEST, None)))


def margin(losses: Array, others: Array) -> dict[str, float]:
    """Return the mean of `losses - others`, row by row, and its standard error."""
    if not len(losses):
        return {"mean": 0.0, "error": 0.0}
    difference = losses - others
    error = np.std(difference) / np.sqrt(len(difference))
    return {"mean": float(np.mean(difference)), "error": float(error)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
