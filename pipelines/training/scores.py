"""Scores of a split, added up over batches and ranks in bounded memory.

Outputs are counted in bins by the leading bits of their float32: 2^18 bins that are as fine,
relatively, around every value. ROC AUC from them is that of the rows to four digits; the
loss is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.config.losses import Task

Array = np.ndarray[Any, Any]
_BITS = 18
BINS = 1 << _BITS
_LOSS, _ROWS, _RIGHT, _ABSOLUTE, _SQUARED, _BINS_FROM = range(6)


def bins_of(outputs: Array) -> Array:
    """Return each output's bin; bins rise as outputs do."""
    bits = np.ascontiguousarray(outputs, dtype=np.float32).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits) + (1 << 31)
    found: Array = ordered >> (32 - _BITS)
    return np.minimum(found, BINS - 1)


def roc_auc_of(negatives: Array, positives: Array) -> float:
    """Return the area under the ROC curve from counts per bin; ties count half.

    NaN where a class is absent.
    """
    pairs = float(negatives.sum()) * float(positives.sum())
    if not pairs:
        return float("nan")
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)


class Scores:
    """Sums that ranks add up: losses, rows, what the task's metrics need.

    A yes is a chance from `threshold` on.
    """

    def __init__(self, task: Task, threshold: float = 0.5) -> None:
        self._task = task
        # Outputs are logits: what the probability `threshold` is among them.
        self._least = float(np.log(threshold / (1 - threshold)))
        self._sums = np.zeros(_BINS_FROM + (2 * BINS if task == "binary" else 0), dtype=np.float64)

    def add(self, losses: Array, labels: Array, outputs: Array) -> None:
        """Add a batch: losses and labels (rows,), the model's outputs (rows, outputs)."""
        self._sums[_LOSS] += losses.astype(np.float64).sum()
        self._sums[_ROWS] += len(losses)
        if not len(outputs):
            return
        if self._task == "number":
            error = outputs[:, 0].astype(np.float64) - labels
            self._sums[_ABSOLUTE] += np.abs(error).sum()
            self._sums[_SQUARED] += np.square(error).sum()
        elif self._task == "classes":
            self._sums[_RIGHT] += (outputs.argmax(axis=1) == labels).sum()
        else:
            is_positive = labels > 0.5
            self._sums[_RIGHT] += ((outputs[:, 0] >= self._least) == is_positive).sum()
            places = bins_of(outputs[:, 0]) + np.where(is_positive, BINS, 0)
            self._sums[_BINS_FROM:] += np.bincount(places, minlength=2 * BINS)

    @property
    def sums(self) -> Array:
        """What is to be summed over the ranks."""
        return self._sums

    def metrics(self, sums: Array) -> dict[str, float]:
        """Return `loss` and what else can be monitored, from the sums of all ranks."""
        rows = max(sums[_ROWS], 1)
        found = {"loss": float(sums[_LOSS] / rows)}
        if self._task == "number":
            return {
                **found,
                "mae": float(sums[_ABSOLUTE] / rows),
                "mse": float(sums[_SQUARED] / rows),
            }
        found["accuracy"] = float(sums[_RIGHT] / rows)
        if self._task == "binary":
            negatives, positives = np.split(sums[_BINS_FROM:], 2)
            found["roc_auc"] = roc_auc_of(negatives, positives)
        return found
