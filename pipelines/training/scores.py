"""Scores of a split, added up over batches and ranks in bounded memory.

Outputs are counted in bins by the leading bits of their float32: 2^18 bins that are as fine,
relatively, around every value. ROC AUC from them is that of the rows to four digits; the
loss is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BITS = 18
BINS = 1 << _BITS


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
    """Sums that ranks add up: loss, rows, and counts per bin and class."""

    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self._sums = np.zeros(2 + (2 * BINS if binary else 0), dtype=np.float64)

    def add(self, losses: Array, labels: Array, outputs: Array) -> None:
        """Add a batch of rows."""
        self._sums[0] += losses.astype(np.float64).sum()
        self._sums[1] += len(losses)
        if self.binary and len(outputs):
            places = bins_of(outputs) + np.where(labels > 0.5, BINS, 0)
            self._sums[2:] += np.bincount(places, minlength=2 * BINS)

    @property
    def sums(self) -> Array:
        """What is to be summed over the ranks."""
        return self._sums

    def metrics(self, sums: Array) -> dict[str, float]:
        """Return `loss`, and `roc_auc` for a binary label, from the sums of all ranks."""
        found = {"loss": float(sums[0] / max(sums[1], 1))}
        if self.binary:
            found["roc_auc"] = roc_auc_of(sums[2 : 2 + BINS], sums[2 + BINS :])
        return found
