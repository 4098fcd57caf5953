"""How good predictions are: metrics, a constant guess beside them, curves for the report."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
_SMALLEST = 1e-15
_ROC_POINTS = 200
_CALIBRATION_BINS = 10


def metrics(
    labels: Array, probabilities: Array, weights: Array | None = None, threshold: float = 0.5
) -> dict[str, float]:
    """Return METRICS of binary predictions.

    `labels` and `probabilities` are (rows,). A row counts as positive from `threshold` on.
    Precision, recall and F1 are 0 where nothing was predicted or nothing is positive; ROC AUC is
    NaN where a class is absent, all of them where there are no rows.
    """
    if not len(labels):
        return dict.fromkeys(METRICS, float("nan"))
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


def constant_guess(labels: Array, rate: float) -> dict[str, float]:
    """Return the metrics of saying `rate`, the training split's share of positives, to all."""
    return metrics(labels, np.full(len(labels), rate))


def roc_auc(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Return the area under the ROC curve; NaN where a class is absent."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, scores, sample_weight=weights))


def regression_metrics(labels: Array, values: Array) -> dict[str, float]:
    """Return `mse` and `mae` of predicted numbers."""
    error = np.asarray(values, dtype=np.float64) - np.asarray(labels, dtype=np.float64)
    if not len(error):
        return {"mse": float("nan"), "mae": float("nan")}
    return {"mse": float(np.mean(error**2)), "mae": float(np.mean(np.abs(error)))}


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


def evaluation(labels: Array, outputs: Array, rate: float, loss: str) -> dict[str, Any]:
    """Return what a bundle keeps of a split; `outputs` are logits or, for `mse`, values."""
    if loss == "mse":
        constant = regression_metrics(labels, np.full(len(labels), rate))
        found = regression_metrics(labels, outputs)
        return {"num_rows": len(labels), "metrics": found, "constant": constant}
    probabilities = 1 / (1 + np.exp(-np.asarray(outputs, dtype=np.float64)))
    return {
        "num_rows": len(labels),
        "positive_rate": float(np.mean(labels)) if len(labels) else None,
        "metrics": metrics(labels, probabilities),
        "constant": constant_guess(labels, rate),
        "roc": roc_points(labels, probabilities),
        "calibration": calibration(labels, probabilities),
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
