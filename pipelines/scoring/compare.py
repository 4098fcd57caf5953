"""Two versions of a model on the same rows: what chance explains of their difference.

The rows are the newer version's test split. Rows of a day have much in common, so whole days are
drawn again and again; where there is one day, its rows are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.losses import ALL_METRICS, is_higher_better
from pipelines.errors import SettingsError
from pipelines.scoring.batch import predict
from pipelines.scoring.rival import in_words, outputs_of, rows_of_test_split
from pipelines.scoring.threshold import threshold_of
from pipelines.scoring.workers import OUTPUTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.config.losses import Task
    from pipelines.registry.bundle import Bundle
    from pipelines.run import Run

Array = np.ndarray[Any, Any]
_DRAWS = 300
_MOST_ROWS = 50_000
"""Rows that the intervals are drawn from; of more every k-th, so they are wider than need be."""


@dataclass(frozen=True)
class Difference:
    """A metric of both versions; `low` and `high` bound 95 % of what `second - first` may be."""

    metric: str
    first: float
    second: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Say which is better, if that is more than chance."""
        if not (self.low > 0 or self.high < 0):
            return "chance explains it"
        return "better" if (self.low > 0) == is_higher_better(self.metric) else "worse"


@dataclass(frozen=True)
class Compared:
    """What `compare` found: both versions, which rows, and the metrics' differences."""

    first: int
    second: int
    rows: str
    num_rows: int
    num_days: int
    differences: list[Difference]
    notes: list[str]

    def lines(self) -> Iterator[str]:
        """Yield a table for people."""
        resampled = f"{self.num_days} days resampled" if self.num_days > 1 else "rows resampled"
        yield f"{self.num_rows:,} rows: {self.rows} ({resampled})"
        a, b = f"version {self.first}", f"version {self.second}"
        yield f"{'metric':10s} {a:>12s} {b:>12s} {'difference':>11s}  {'95 %':20s} {b} is"
        for one in self.differences:
            between = f"{one.low:+.4f} .. {one.high:+.4f}"
            change = f"{one.second - one.first:+11.4f}"
            yield (
                f"{one.metric:10s} {one.first:12.4f} {one.second:12.4f} {change}  {between:20s} "
                f"{one.verdict}"
            )
        yield from (f"NOTE: {note}" for note in self.notes)


def compare(run: Run, first: tuple[int, Bundle], second: tuple[int, Bundle]) -> Compared:
    """Judge both versions on the newer one's test split, each by its own threshold.

    Raises SettingsError where they say different things of a row.
    """
    mine, other = outputs_of(first[1]), outputs_of(second[1])
    if mine != other:
        raise SettingsError(
            f"version {first[0]} says of a row {in_words(mine)}, version {second[0]} "
            f"{in_words(other)}: they can't be compared."
        )
    newer, older = (second, first) if second[0] > first[0] else (first, second)
    rows = rows_of_test_split(run, newer[1]).cache()
    try:
        num_rows = rows.count()
        found = [_judged(run, bundle, rows, num_rows) for _, bundle in (first, second)]
    finally:
        rows.unpersist()
    differences = differences_of(found[0], found[1], mine[0])
    what = f"the test split of version {newer[0]} (run {newer[1].run_id})"
    days = len(np.unique(found[0].days))
    notes = _overlap(older, newer)
    return Compared(first[0], second[0], what, num_rows, days, differences, notes)


@dataclass(frozen=True)
class Judged:
    """What a version said of rows: `labels` and `days` (rows,), `outputs` (rows, outputs)."""

    labels: Array
    days: Array
    outputs: Array
    threshold: float


def differences_of(first: Judged, second: Judged, task: Task) -> list[Difference]:
    """Return the metrics' differences, with intervals from whole days drawn at random. Pure."""
    from pipelines.training.evaluate import metrics_of

    def metrics(one: Judged, chosen: Array | slice = slice(None)) -> dict[str, float]:
        return metrics_of(one.labels[chosen], one.outputs[chosen], task, one.threshold)

    a, b = metrics(first), metrics(second)
    drawn = [
        {name: metrics(second, y)[name] - value for name, value in metrics(first, x).items()}
        for x, y in _draws(first, second)
    ]
    found = []
    for name in (one for one in ALL_METRICS if one in a):
        known = [one[name] for one in drawn if np.isfinite(one[name])]
        low, high = np.percentile(known, [2.5, 97.5]) if known else (float("nan"), float("nan"))
        found.append(Difference(name, a[name], b[name], float(low), float(high)))
    return found


def _draws(first: Judged, second: Judged) -> Iterator[tuple[Array, Array]]:
    """Yield places of rows of both, by the same days drawn with replacement."""
    random = np.random.default_rng(0)
    places = [_thinned(np.arange(len(one.labels))) for one in (first, second)]
    days = np.unique(first.days)
    if len(days) < 2:
        for _ in range(_DRAWS):
            yield random.choice(places[0], len(places[0])), random.choice(places[1], len(places[1]))
        return
    by_day = [
        {day: kept[one.days[kept] == day] for day in days}
        for one, kept in zip((first, second), places, strict=True)
    ]
    for _ in range(_DRAWS):
        drawn = random.choice(days, len(days))
        first_rows, second_rows = (np.concatenate([one[day] for day in drawn]) for one in by_day)
        yield first_rows, second_rows


def _thinned(places: Array) -> Array:
    return places[:: max(1, -(-len(places) // _MOST_ROWS))]


def _judged(run: Run, bundle: Bundle, rows: DataFrame, num_rows: int) -> Judged:
    date, size = run.pipeline.featurize.date, run.pipeline.score.batch_size
    scored = predict(rows, bundle, ["_label", date], num_rows, size)
    found = scored.select("_label", date, OUTPUTS).toArrow()
    outputs = found[OUTPUTS].combine_chunks().flatten().to_numpy().reshape(num_rows, -1)
    days = np.array([str(day) for day in found[date].to_pylist()])
    return Judged(found["_label"].to_numpy(), days, outputs, threshold_of(run, bundle))


def _overlap(older: tuple[int, Bundle], newer: tuple[int, Bundle]) -> list[str]:
    """Say where the older version may have learned from the rows it is judged on."""
    trained = [older[1].manifest.get("split", {}).get(name) for name in ("train", "validation")]
    test = newer[1].manifest.get("split", {}).get("test")
    if not isinstance(test, list):
        return [
            f"the split is not by date: version {older[0]} may have learned from some of these rows"
        ]
    known = [one for one in trained if isinstance(one, list)]
    if any(str(one[0]) <= str(test[1]) and str(test[0]) <= str(one[1]) for one in known):
        return [
            f"version {older[0]} has learned from some of these days: it looks better than it is"
        ]
    return []
