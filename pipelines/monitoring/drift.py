"""Drift: how far a feature's distribution has moved from the training split's (PSI).

The population stability index of two distributions p (training) and q (now) over the same bins is
the sum of (q - p) * ln(q / p); Siddiqi, "Credit Risk Scorecards" (2006), reads below 0.1 as stable
and above 0.25 as a shift. A share of 0 counts as `SMALLEST_SHARE`.

Few rows have a large index without any drift. So an index counts only where two draws of as many
rows from one distribution reach it less than once in a thousand times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipelines.monitoring.bins import MISSING, Binning, Counts

SMALLEST_SHARE = 1e-4
_DRAWS, _RARE = 1000, 0.999
_SEED = 1

Severity = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class FeatureDrift:
    """A feature's drift. Shares lie in 0..1; `rows` are those with it in training and now.

    `moved` names the bin that adds most to the index, `share_before` and `share_now` its share.
    """

    feature: str
    psi: float
    missing_before: float
    missing_now: float
    severity: Severity
    psi_by_chance: float = 0.0
    """What two draws of so many rows from one distribution seldom (1 in 1,000) reach."""
    rows_before: int = 0
    rows_now: int = 0
    moved: str = ""
    share_before: float = 0.0
    share_now: float = 0.0


def psi(before: Sequence[int], now: Sequence[int]) -> float:
    """Return the population stability index of two counts by place; both must hold rows."""
    return float(_terms(np.asarray(before), np.asarray(now)).sum())


def psi_by_chance(before: Sequence[int], now: Sequence[int]) -> float:
    """Return what the index of as many rows seldom reaches where nothing has moved.

    Both are drawn from their joint distribution, again and again, the same way each time: the
    0.999 quantile of the index.
    """
    both = np.add(before, now)
    shares = both[both > 0] / both.sum()
    random = np.random.default_rng(_SEED)
    drawn = [random.multinomial(sum(rows), shares, _DRAWS) for rows in (before, now)]
    return float(np.quantile(_terms(*drawn).sum(axis=1), _RARE))


def _terms(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    p, q = (
        np.maximum(counts / counts.sum(axis=-1, keepdims=True), SMALLEST_SHARE)
        for counts in (before, now)
    )
    return np.asarray((q - p) * np.log(q / p))


def compare(
    binnings: Sequence[Binning],
    before: Mapping[str, Counts],
    now: Mapping[str, Counts],
    limits: tuple[float, float],
    exclude: Sequence[str] = (),
) -> list[FeatureDrift]:
    """Return each feature's drift, the largest first.

    `limits` are the indices of a warning and a failure. Columns in `exclude` are always `ok`, as
    are those whose index chance alone can reach.
    """
    found = [
        _drift(one, before[one.column], now[one.column], limits, one.column in exclude)
        for one in binnings
    ]
    return sorted(found, key=lambda drift: (-drift.psi, drift.feature))


def _drift(
    binning: Binning,
    before: Counts,
    now: Counts,
    limits: tuple[float, float],
    is_excluded: bool,
) -> FeatureDrift:
    index, chance = psi(before, now), psi_by_chance(before, now)
    warn, fail = limits
    severity: Severity = "ok"
    if index >= chance and not is_excluded:
        severity = "fail" if index >= fail else "warn" if index >= warn else "ok"
    then, today = (np.asarray(counts) / sum(counts) for counts in (before, now))
    most = int(_terms(np.asarray(before), np.asarray(now)).argmax())
    return FeatureDrift(
        feature=binning.column,
        psi=round(index, 6),
        missing_before=float(then[MISSING]),
        missing_now=float(today[MISSING]),
        severity=severity,
        psi_by_chance=round(chance, 6),
        rows_before=sum(before),
        rows_now=sum(now),
        moved=binning.labels[most] if index > 0 else "",
        share_before=float(then[most]),
        share_now=float(today[most]),
    )
