"""The threshold of a yes, chosen on rows whose labels are known, and its curve. Pure.

A cut between two neighbouring predictions says yes to all rows from the upper one on. Each such cut
is looked at, none is tried twice, and the number taken lies between the two: a prediction that
differs in its last digits elsewhere (batch, online) is on the same side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.config.threshold import DEFAULT, Threshold, WantedThreshold, plain

Array = np.ndarray[Any, Any]
_POINTS = 100


@dataclass(frozen=True)
class Cuts:
    """Every cut of some rows, from `never a yes` to `always`: arrays (cuts,).

    A cut lies above `lower` and not above `upper`, which both fall. `hits` and `alarms` are the
    rows called yes that are one, and that are none.
    """

    lower: Array
    upper: Array
    hits: Array
    alarms: Array
    yes: int
    """Rows that are a yes."""
    no: int

    @classmethod
    def of(cls, labels: Array, chances: Array) -> Cuts:
        """Return the cuts of rows: labels 0 or 1, and the chance of a yes, (rows,) each."""
        order = np.argsort(-chances, kind="stable")
        falling, is_yes = chances[order], np.asarray(labels)[order] > 0.5
        # The last row of each run of equal chances: a cut never parts equal ones.
        ends = np.flatnonzero(np.diff(falling, append=-1.0))
        hits = np.concatenate([[0], np.cumsum(is_yes)[ends]])
        called = np.concatenate([[0], ends + 1])
        upper = np.concatenate([[1.0], falling[ends]])
        lower = np.concatenate([falling[ends], [0.0]])
        middle = (upper + lower) / 2
        # Above a chance of 1, below one of 0, and between neighbouring floats there is no number.
        room = (lower < middle) & (middle < upper)
        yes = int(is_yes.sum())
        alarms = (called - hits)[room]
        return cls(lower[room], upper[room], hits[room], alarms, yes, len(labels) - yes)

    @property
    def precision(self) -> Array:
        """Share of those called yes that are one; 0 where none is called so."""
        return np.asarray(self.hits / np.maximum(1, self.hits + self.alarms))

    @property
    def recall(self) -> Array:
        """Share of the yes that is found."""
        return np.asarray(self.hits / max(1, self.yes))

    @property
    def f1(self) -> Array:
        """Harmonic mean of both."""
        return np.asarray(2 * self.hits / np.maximum(1, self.hits + self.alarms + self.yes))

    @property
    def youden(self) -> Array:
        """True positive rate less false positive rate."""
        return np.asarray(self.recall - self.alarms / max(1, self.no))

    def place_of(self, threshold: float) -> int:
        """Return the place of the cut that a number makes."""
        return min(int(np.count_nonzero(self.lower >= threshold)), len(self.lower) - 1)

    def point(self, place: int) -> dict[str, float]:
        """Return one cut as plain numbers; `share` is that of the rows called yes."""
        called = self.hits[place] + self.alarms[place]
        return {
            "threshold": self.number(place),
            "share": float(called / max(1, self.yes + self.no)),
            **{name: float(getattr(self, name)[place]) for name in ("precision", "recall", "f1")},
        }

    def number(self, place: int) -> float:
        """Return a short decimal number that makes this cut, from the middle of its room."""
        lower, upper = float(self.lower[place]), float(self.upper[place])
        middle = (lower + upper) / 2
        for digits in range(2, 17):
            short = round(middle, digits)
            if abs(short - middle) < (upper - lower) / 4:
                return short
        return middle


def choose(labels: Array, chances: Array, asked: Threshold) -> dict[str, Any]:
    """Return what a bundle keeps of the threshold: `value`, `asked`, `at`, `curve`, `num_rows`.

    `labels` 0 or 1 and `chances` are those of the validation split, (rows,) each. `unmet` says why
    where what was asked for can't be had: then the nearest to it is taken. `at` tells of the cut
    made, `curve` of up to a hundred others.
    """
    cuts, unmet = Cuts.of(labels, chances), None
    if isinstance(asked, float):
        value, place = asked, cuts.place_of(asked)
    elif not cuts.yes or not cuts.no:
        value, place = DEFAULT, cuts.place_of(DEFAULT)
        unmet = f"the validation split has labels of one kind only, so {DEFAULT} is taken"
    else:
        place, unmet = _best(cuts, asked)
        value = cuts.number(place)
    return {
        "value": value,
        "asked": plain(asked),
        "at": {**cuts.point(place), "threshold": value},
        "curve": _curve(cuts),
        "num_rows": len(labels),
        **({"unmet": unmet} if unmet else {}),
    }


def _best(cuts: Cuts, asked: Threshold) -> tuple[int, str | None]:
    """Return the place of the cut asked for; of equals the highest threshold: the fewest yes."""
    if not isinstance(asked, WantedThreshold):
        return int(np.argmax(getattr(cuts, str(asked)))), None
    if asked.costs is not None:
        missed = cuts.yes - cuts.hits
        costs = cuts.alarms * asked.costs.false_positive + missed * asked.costs.false_negative
        return int(np.argmin(costs)), None
    wanted, other = ("recall", "precision") if asked.recall else ("precision", "recall")
    least, reached = getattr(asked, wanted), getattr(cuts, wanted)
    enough = np.flatnonzero(reached >= least)
    if len(enough):
        return int(enough[np.argmax(getattr(cuts, other)[enough])]), None
    best = int(np.argmax(reached))
    return best, f"no threshold reaches a {wanted} of {least:g}, the best {reached[best]:.4g}"


def _curve(cuts: Cuts) -> list[dict[str, float]]:
    """Return cuts spread evenly over the rows, from the most to the fewest of them called yes."""
    called = cuts.hits + cuts.alarms
    wanted = np.linspace(0, called[-1], _POINTS)
    places = np.unique(np.searchsorted(called, wanted).clip(0, len(called) - 1))
    return [cuts.point(int(place)) for place in places[::-1]]
