"""Bins of raw features: each row of a column lies in exactly one of them.

A bin is a place, a number from 0; what people call it is made at the end (`labels`). Numbers are
compared as float64, which is what features are computed from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F

from pipelines.encoding.sql import as_double, as_text, present
from pipelines.errors import LakeError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

MISSING, BELOW, OTHER = 0, 1, 1
"""Places that every binning has: missing; of a number too small; of a category any other value."""
_QUANTILE_ACCURACY = 1000
Counts = tuple[int, ...]
"""Rows by place."""


@dataclass(frozen=True)
class Binning:
    """How a raw feature column is cut into bins.

    Numbers: 0 missing (null, NaN), 1 below `smallest`, then up to each of the rising `edges` (an
    edge belongs to the bin below it), last what is above them all. Without edges all numbers lie in
    1. Categories: 0 missing (null, empty text), 1 any other value, then one for each of `values`.
    """

    column: str
    smallest: float = 0.0
    """The smallest number of the training split."""
    edges: tuple[float, ...] = ()
    """Largest number of each bin; the last one is the largest of the training split."""
    values: tuple[str, ...] | None = None
    """Of a category, however few; None for a number."""

    @property
    def num_places(self) -> int:
        """How many bins there are."""
        if self.values is not None:
            return 2 + len(self.values)
        return 3 + len(self.edges) if self.edges else 2

    @property
    def labels(self) -> tuple[str, ...]:
        """What people call each place; no two are the same."""
        if self.values is not None:
            # As Python writes texts: a value `missing` has quotes, invisible letters are spelled.
            return ("missing", "other values", *map(repr, self.values))
        if not self.edges:
            return ("missing", "any number")
        first, *more = self.edges
        bounds = zip(self.edges, more, strict=False)
        whole = str(first) if first == self.smallest else f"{self.smallest} to {first}"
        inside = [f"above {low} to {high}" for low, high in bounds]
        return (
            *("missing", f"below {self.smallest}", whole, *inside),
            f"above {self.edges[-1]}, the largest in training",
        )


def count_places(binning: Binning, values: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how many values fall into each place; numbers as float64, categories as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if binning.values is None:
        numbers = pc.fill_null(values.cast("float64"), np.nan).to_numpy(zero_copy_only=False)
        places = np.searchsorted(np.array(binning.edges), numbers, side="left") + 2
        places[numbers < binning.smallest] = BELOW
        if not binning.edges:
            places[:] = BELOW
        places[np.isnan(numbers)] = MISSING
    else:
        texts = values.cast("string")
        known = pc.index_in(texts, pa.array(binning.values, "string"))
        places = pc.fill_null(pc.add(known, 2), OTHER).to_numpy(zero_copy_only=False).copy()
        is_missing = pc.fill_null(pc.equal(texts, ""), fill_value=True)
        places[is_missing.to_numpy(zero_copy_only=False)] = MISSING
    return np.bincount(places, minlength=binning.num_places)


def fit_binnings(
    training: DataFrame, numeric: Sequence[str], categories: Sequence[str], bins: int
) -> list[Binning]:
    """Return a binning per column: quantiles of numbers, the most frequent values of categories.

    `bins` quantile bins for numbers, fewer where values repeat; categories keep `2 * bins` values.
    """
    shares = [part / bins for part in range(1, bins)]
    aggregates = []
    for index, name in enumerate(numeric):
        number = as_double(name)
        finite = F.expr(f"CASE WHEN {present(number)} THEN {number} END")
        aggregates += [
            F.percentile_approx(finite, shares, _QUANTILE_ACCURACY).alias(f"quantiles_{index}"),
            F.min(finite).alias(f"min_{index}"),
            F.max(finite).alias(f"max_{index}"),
        ]
    found: Any = training.select(*aggregates).head() if aggregates else None
    binnings = []
    for index, name in enumerate(numeric):
        smallest, largest = found[f"min_{index}"], found[f"max_{index}"]
        if smallest is None:
            binnings.append(Binning(name))
            continue
        edges = sorted({*found[f"quantiles_{index}"], largest})
        binnings.append(Binning(name, smallest, tuple(edges)))
    for name, values in _frequent_values(training, categories, 2 * bins).items():
        binnings.append(Binning(name, values=values))
    return binnings


def _frequent_values(
    training: DataFrame, columns: Sequence[str], most: int
) -> dict[str, tuple[str, ...]]:
    if not columns:
        return {}
    pairs = F.array(
        *[
            F.struct(F.lit(name).alias("feature"), F.expr(as_text(name)).alias("value"))
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


def count_bins(rows: DataFrame, binnings: Sequence[Binning]) -> dict[str, Counts]:
    """Return, for each column, how many rows fall into each bin; one pass over `rows`.

    The bins are counted in vectors by Python workers: as SQL, some eighty features with ten bins
    each are more code than the JVM compiles.
    """
    if not binnings:
        return {}
    columns = [
        F.expr(as_double(one.column) if one.values is None else as_text(one.column)).alias(
            f"_{index}"
        )
        for index, one in enumerate(binnings)
    ]

    def count(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        totals = [np.zeros(one.num_places, np.int64) for one in binnings]
        for batch in batches:
            for index, one in enumerate(binnings):
                totals[index] += count_places(one, batch.column(index))
        ends = [len(total) for total in totals]
        parts = [
            np.repeat(np.arange(len(ends)), ends),
            np.concatenate([np.arange(end) for end in ends]),
            np.concatenate(totals),
        ]
        arrays = [pa.array(part, pa.int64()) for part in parts]
        yield pa.RecordBatch.from_arrays(arrays, ["binning", "place", "rows"])

    parts = rows.select(*columns).mapInArrow(count, "binning BIGINT, place BIGINT, rows BIGINT")
    found = [[0] * one.num_places for one in binnings]
    for row in parts.groupBy("binning", "place").agg(F.sum("rows").alias("rows")).collect():
        found[row["binning"]][row["place"]] = row["rows"]
    return {one.column: tuple(counts) for one, counts in zip(binnings, found, strict=True)}


def check_counts(counts: Mapping[str, Counts], num_rows: int, where: str) -> None:
    """Raise LakeError unless every row is in one bin of every column.

    `num_rows` is counted by something else than the bins.
    """
    for column, places in counts.items():
        if sum(places) != num_rows:
            raise LakeError(
                f"the bins of feature '{column}' hold {sum(places):,} rows, {where} holds "
                f"{num_rows:,}; expected every row in exactly one bin. Nothing was written. Run "
                "monitor again, and report it if it happens again."
            )
