"""The query that fits: all statistics of the training split in one pass over its rows.

How one pass gives all kinds of statistics: each row is turned into one (feature, value) pair per
category and those are counted by a GROUP BY, while an observation (`Dataset.observe`) below it
aggregates the numeric columns of the same rows on their way. GROUPING SETS would carry all numeric
columns through the grouping once per category. The elements of arrays and sequences are pairs too;
a second observation, between pairs and GROUP BY, aggregates the numbers among them.

The result does not depend on how rows are spread over tasks: counts, ranges and quartiles are
exact whatever the order, and sums are rounded to ten digits. Quartiles are those of the values
rounded to 17 binary digits, which bounds the memory they take.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config.normalize import (
    Category,
    Cyclical,
    Feature,
    Numeric,
    NumericArray,
    Sequence,
)
from pipelines.errors import FeatureError
from pipelines.features.statistics import needed_statistics
from pipelines.features.to_sql import as_double, as_text, double, kept, log1p, present, text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

MAX_VOCABULARY = 100_000
"""A vocabulary without `max_size` may have so many values; it travels in every query plan."""
_ATTEMPTS = 3
_OBSERVED, _OBSERVED_ELEMENTS = "tidemill_fit", "tidemill_fit_elements"
_EACH_ROW = -1
"""Index of the pair that every row gives, where lists give it any number of others."""
_SPLITTER = f"{2**36 + 1}D"
"""Veltkamp's: x * s - (x * s - x) keeps 53 - 36 = 17 binary digits of x."""


def numeric_columns(features: Mapping[str, Feature]) -> list[str]:
    """Return select expressions of what is aggregated, named `<what>_<feature's index>`.

    `x` is the present value (after log1p), `rounded` what quartiles are taken of, `infinite`
    whether the raw one is infinite.
    """
    columns = []
    for index, (name, feature) in enumerate(features.items()):
        if not isinstance(feature, Numeric | Cyclical):
            continue
        raw = as_double(feature.column or name)
        columns.append(f"{_is_infinite(raw)} AS infinite_{index}")
        if isinstance(feature, Numeric):
            value = log1p(raw) if feature.log1p else raw
            columns.append(f"CASE WHEN {present(raw)} THEN {value} END AS x_{index}")
    return columns


def _is_infinite(raw: str) -> str:
    return f"abs({raw}) = CAST('Infinity' AS DOUBLE)"


def rounded(x: str) -> str:
    """Return the SQL expression of a double rounded to 17 binary digits."""
    return f"{x} * {_SPLITTER} - ({x} * {_SPLITTER} - {x})"


def numeric_aggregates(features: Mapping[str, Feature]) -> list[str]:
    """Return the aggregates over `numeric_columns`, named `<statistic>_<feature's index>`."""
    aggregates = ["count(1) AS num_rows"]
    for index, feature in enumerate(features.values()):
        if not isinstance(feature, Numeric | Cyclical):
            continue
        aggregates.append(f"count_if(infinite_{index}) AS infinite_{index}")
        if isinstance(feature, Cyclical):
            continue
        aggregates += _aggregates(index, f"x_{index}", needed_statistics(feature))
    return aggregates


def element_aggregates(features: Mapping[str, Feature]) -> list[str]:
    """Return the aggregates over the numbers of pairs, named `<statistic>_<feature's index>`."""
    aggregates = []
    for index, feature in enumerate(features.values()):
        if isinstance(feature, NumericArray):
            own = f"feature = {index}"
            aggregates.append(f"count_if({own} AND {_is_infinite('number')}) AS infinite_{index}")
            x = f"CASE WHEN {own} AND {present('number')} THEN number END"
            aggregates += _aggregates(index, x, needed_statistics(feature))
    return aggregates


def _aggregates(index: int, x: str, needed: set[str]) -> list[str]:
    aggregates = [f"count({x}) AS count_{index}"]
    if "moments" in needed:
        # An average would count once more.
        aggregates += [f"sum({x}) AS sum_{index}", f"stddev_pop({x}) AS std_{index}"]
    if "range" in needed:
        aggregates += [f"min({x}) AS min_{index}", f"max({x}) AS max_{index}"]
    if "quartiles" in needed:
        quartiles = f"percentile({rounded(x)}, array(0.25D, 0.5D, 0.75D))"
        aggregates.append(f"{quartiles} AS quartiles_{index}")
    return aggregates


def read_once(
    df: DataFrame, features: Mapping[str, Feature]
) -> tuple[dict[str, Any], dict[int, list[str]]]:
    """Return numeric statistics by name and vocabularies by the feature's index."""
    from pyspark.sql import functions as F

    categories = {
        index: feature
        for index, feature in enumerate(features.values())
        if isinstance(feature, Category)
        or (isinstance(feature, Sequence) and feature.buckets is None)
    }
    elements = element_aggregates(features)
    df = df.selectExpr(*numeric_columns(features), *_pair_columns(features))
    # As JSON, doubles come back exactly, and arrays need no conversion of their own.
    numbers = F.expr(_json(numeric_aggregates(features))).alias("json")
    if not categories and not elements:
        row = df.agg(numbers).head()
        return json.loads(row["json"] if row else "{}"), {}
    for _ in range(_ATTEMPTS):
        found, vocabularies, num_counted = _observe(df, numbers, elements, categories)
        if found["num_rows"] == num_counted:
            return found, vocabularies
        # A stage that was run again, its executor being lost, is observed twice.
        logger.warning(
            "fit: %s rows observed, %s counted; reading again", found["num_rows"], num_counted
        )
    raise FeatureError(
        f"features can't be fitted: the cluster lost executors in each of {_ATTEMPTS} attempts. "
        "Run `normalize` again when it is steady."
    )


def _json(aggregates: list[str]) -> str:
    return f"to_json(struct({', '.join(aggregates)}))"


def _pair_columns(features: Mapping[str, Feature]) -> list[str]:
    """Return select expressions `text_<index>` of categories, `list_<index>` of lists' pairs."""
    columns = []
    for index, (name, feature) in enumerate(features.items()):
        column = feature.column or name
        match feature:
            case Category():
                columns.append(f"{as_text(column)} AS text_{index}")
            case Sequence(buckets=None):
                elements = kept(column, feature.length, feature.keep)
                pair = _pair(index, text("x"), "NULL")
                columns.append(f"transform({elements}, x -> {pair}) AS list_{index}")
            case NumericArray():
                elements = kept(column, feature.length, feature.keep)
                pair = _pair(index, "NULL", double("x"))
                columns.append(f"transform({elements}, x -> {pair}) AS list_{index}")
    return columns


def _pair(index: int, value: str, number: str) -> str:
    return (
        f"named_struct('feature', {index}, 'value', CAST({value} AS STRING), "
        f"'number', CAST({number} AS DOUBLE))"
    )


def _pairs(df: DataFrame) -> DataFrame:
    """Return a row for each pair of `_pair_columns`: feature, value (and number with lists)."""
    texts = [name for name in df.columns if name.startswith("text_")]
    lists = [name for name in df.columns if name.startswith("list_")]
    indices = {name: int(name.removeprefix("text_")) for name in texts}
    if not lists:
        pairs = ", ".join(f"{index}, {name}" for name, index in indices.items())
        return df.selectExpr(f"stack({len(texts)}, {pairs}) AS (feature, value)")
    own = [_pair(_EACH_ROW, "NULL", "NULL")]
    own += [_pair(index, name, "NULL") for name, index in indices.items()]
    return df.selectExpr(f"inline(concat(array({', '.join(own)}), {', '.join(lists)}))")


def _observe(
    df: DataFrame,
    numbers: Any,
    elements: list[str],
    categories: Mapping[int, Category | Sequence],
) -> tuple[dict[str, Any], dict[int, list[str]], int]:
    from pyspark.sql import functions as F

    pairs = _pairs(df.observe(_OBSERVED, numbers))
    if elements:
        pairs = pairs.observe(_OBSERVED_ELEMENTS, F.expr(_json(elements)).alias("json"))
    counted = category_counts(pairs, categories)
    rows = counted.collect()
    # Asked of the plan that ran, not through pyspark's Observation: that one waits for ever
    # where the optimizer saw that there are no rows, and left the observation out.
    observed = counted._jdf.queryExecution().observedMetrics()
    found: dict[str, Any] = {"num_rows": 0}
    for name in (_OBSERVED, _OBSERVED_ELEMENTS):
        metrics = observed.get(name)
        if metrics.isDefined():
            found |= json.loads(metrics.get().getString(0))
    vocabularies: dict[int, list[str]] = {index: [] for index in categories}
    for row in rows:
        index, value = row["feature"], row["value"]
        if value is not None and row["num_rows"] >= categories[index].min_count:
            vocabularies[index].append(value)
    return found, vocabularies, rows[0]["num_all"] if rows else 0


def category_counts(pairs: DataFrame, categories: Mapping[int, Category | Sequence]) -> DataFrame:
    """Count pairs (feature, value), each feature in the vocabulary's order.

    Gives feature (index), value, num_rows (with that value), num_all (pairs of the feature). The
    first feature is one of which every row gives a pair.

    Bounded: at most `max_size` (or `MAX_VOCABULARY` + 1) values a feature, the missing one aside.
    """
    limits = " ".join(
        f"WHEN {index} THEN {feature.max_size or MAX_VOCABULARY + 1}"
        for index, feature in categories.items()
    )
    counts = " ".join(
        f"WHEN {index} THEN {feature.min_count}" for index, feature in categories.items()
    )
    counted = pairs.groupBy("feature", "value").count().withColumnRenamed("count", "num_rows")
    by_feature = "OVER (PARTITION BY feature"
    is_bounded = f"place <= CASE feature {limits} END AND num_rows >= CASE feature {counts} END"
    return (
        counted.selectExpr(
            "*",
            f"sum(num_rows) {by_feature}) AS num_all",
            f"count(value) {by_feature} ORDER BY value IS NULL, num_rows DESC, value) AS place",
        )
        # One row of each feature always stays, for `num_all`.
        .where(f"place <= 1 OR value IS NULL OR ({is_bounded if categories else 'false'})")
        .orderBy("feature", "place")
        .select("feature", "value", "num_rows", "num_all")
    )
