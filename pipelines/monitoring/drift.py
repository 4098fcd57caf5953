"""Drift: how far a feature's distribution has moved from the training split's (PSI).

The population stability index of two distributions p (training) and q (now) over the same bins is
the sum of (q - p) * ln(q / p); Siddiqi, "Credit Risk Scorecards" (2006), reads below 0.1 as stable
and above 0.25 as a shift. A share of 0 counts as `_SMALLEST_SHARE`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_SMALLEST_SHARE = 1e-4
_QUANTILE_ACCURACY = 1000
MISSING = "missing"
OTHER = "other"


@dataclass(frozen=True)
class Binning:
    """How a raw feature column is cut into bins.

    Numbers by inner `edges` (a value belongs to the first edge that is not below it), categories
    by `values`, all others together; missing values have a bin of their own.
    """

    column: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] | None = None
    """Of a category, however few; None for a number."""


@dataclass(frozen=True)
class FeatureDrift:
    """A feature's drift. Shares of missing values lie in 0..1."""

    feature: str
    psi: float
    missing_before: float
    missing_now: float
    severity: Literal["ok", "warn", "fail"]


def psi(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Return the population stability index of two counts per bin; 0.0 where one is empty."""
    total_before, total_now = sum(before.values()), sum(now.values())
    if not total_before or not total_now:
        return 0.0
    index = 0.0
    for name in {*before, *now}:
        p = max(before.get(name, 0) / total_before, _SMALLEST_SHARE)
        q = max(now.get(name, 0) / total_now, _SMALLEST_SHARE)
        index += (q - p) * math.log(q / p)
    return index


def fit_binnings(
    training: DataFrame, numeric: Sequence[str], categories: Sequence[str], bins: int
) -> list[Binning]:
    """Return a binning per column: quantiles of numbers, the most frequent values of categories.

    `bins` quantile bins for numbers; categories keep `2 * bins` values.
    """
    from pyspark.sql import functions as F

    shares = [part / bins for part in range(1, bins)]
    # NaN would sort as the largest number; it is a missing value.
    quantiles = [
        F.percentile_approx(
            F.expr(f"nullif(CAST(`{name}` AS DOUBLE), double('NaN'))"), shares, _QUANTILE_ACCURACY
        ).alias(name)
        for name in numeric
    ]
    found = training.select(*quantiles).head() if quantiles else None
    edges = {name: (found[name] or []) if found else [] for name in numeric}
    binnings = [Binning(name, edges=tuple(sorted(set(edges[name])))) for name in numeric]
    for name, values in _frequent_values(training, categories, 2 * bins).items():
        binnings.append(Binning(name, values=values))
    return binnings


def _frequent_values(
    training: DataFrame, columns: Sequence[str], most: int
) -> dict[str, tuple[str, ...]]:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if not columns:
        return {}
    pairs = F.array(
        *[
            F.struct(F.lit(name).alias("feature"), F.col(name).cast("string").alias("value"))
            for name in columns
        ]
    )
    counts = (
        training.select(F.inline(pairs))
        .where(F.col("value").isNotNull())
        .groupBy("feature", "value")
        .count()
    )
    ranked = Window.partitionBy("feature").orderBy(F.desc("count"), "value")
    rows = counts.withColumn("rank", F.row_number().over(ranked)).where(F.col("rank") <= most)
    found: dict[str, list[str]] = {name: [] for name in columns}
    for row in rows.orderBy("feature", "rank").collect():
        found[row["feature"]].append(row["value"])
    return {name: tuple(values) for name, values in found.items()}


def bin_names(binning: Binning, values: pa.Array) -> dict[str, int]:
    """Return how many values fall into each bin; numbers as float64, categories as text."""
    import pyarrow.compute as pc

    if binning.values is None:
        numbers = pc.fill_null(values.cast("float64"), math.nan).to_numpy(zero_copy_only=False)
        missing = np.isnan(numbers)
        places = np.searchsorted(np.array(binning.edges), numbers[~missing], side="left")
        names = [*(f"<={edge:g}" for edge in binning.edges), "above"]
        counts = np.bincount(places, minlength=len(names))
        found = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
        return found | ({MISSING: int(missing.sum())} if missing.any() else {})
    found = {}
    for pair in pc.value_counts(values.cast("string")).to_pylist():
        value = pair["values"]
        name = MISSING if value is None else value if value in binning.values else OTHER
        found[name] = found.get(name, 0) + pair["counts"]
    return found


def count_bins(rows: DataFrame, binnings: Sequence[Binning]) -> dict[str, dict[str, int]]:
    """Return, for each column, how many rows fall into each bin; one pass over `rows`.

    The bins are counted in vectors by Python workers: as SQL, some eighty features with ten bins
    each are more code than the JVM compiles.
    """
    from pyspark.sql import functions as F

    counts: dict[str, dict[str, int]] = {binning.column: {} for binning in binnings}
    if not binnings:
        return counts
    columns = [
        F.col(binning.column)
        .cast("double" if binning.values is None else "string")
        .alias(binning.column)
        for binning in binnings
    ]

    def count(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            parts = [
                (binning.column, name, number)
                for binning in binnings
                for name, number in bin_names(binning, batch.column(binning.column)).items()
            ]
            features, names, numbers = zip(*parts, strict=True) if parts else ((), (), ())
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(features, "string"),
                    pa.array(names, "string"),
                    pa.array(numbers, "int64"),
                ],
                ["feature", "bin", "rows"],
            )

    parts = rows.select(*columns).mapInArrow(count, "feature STRING, bin STRING, rows BIGINT")
    for row in parts.groupBy("feature", "bin").agg(F.sum("rows").alias("rows")).collect():
        counts[row["feature"]][row["bin"]] = row["rows"]
    return counts


def compare(
    before: Mapping[str, Mapping[str, int]],
    now: Mapping[str, Mapping[str, int]],
    warn: float,
    fail: float,
    exclude: Sequence[str] = (),
) -> list[FeatureDrift]:
    """Return each feature's drift, the largest first; features in `exclude` are always `ok`."""
    drifts = []
    for feature, counts in before.items():
        index = psi(counts, now.get(feature, {}))
        severity: Literal["ok", "warn", "fail"] = "ok"
        if feature not in exclude:
            severity = "fail" if index >= fail else "warn" if index >= warn else "ok"
        drifts.append(
            FeatureDrift(
                feature,
                round(index, 6),
                _share(counts, MISSING),
                _share(now.get(feature, {}), MISSING),
                severity,
            )
        )
    return sorted(drifts, key=lambda drift: (-drift.psi, drift.feature))


def _share(counts: Mapping[str, int], name: str) -> float:
    total = sum(counts.values())
    return counts.get(name, 0) / total if total else 0.0
