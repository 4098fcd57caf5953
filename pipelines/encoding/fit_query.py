"""The queries that fit: all statistics of the training split.

Numbers are aggregated a few columns at a time. Spark makes one method of an aggregate, and Java
never compiles a method of more than 8,000 bytes of code: 20 columns at once take three times as
long as ten and ten. Tables are columnar, so each query reads its own columns and those that the
split is made by. The elements of an array are the rows of a query of their own. Categories and the
elements of sequences become (feature, value) pairs, counted by one GROUP BY; GROUPING SETS would
carry all columns through the grouping once per category.

The result does not depend on how rows are spread over tasks: counts, ranges and quartiles are
exact whatever the order, and sums are rounded to ten digits. Quartiles are those of the values
rounded to 17 binary digits, which bounds the memory they take.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from pipelines.encoding.kind import FeatureSettings, Numbers, Texts
from pipelines.encoding.sql import present

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

MAX_VOCABULARY = 100_000
"""A vocabulary without `max_size` may have so many values; it travels in every query plan."""
_COLUMNS_AT_A_TIME = 8
_SPLITTER = f"{2**36 + 1}D"
"""Veltkamp's: x * s - (x * s - x) keeps 53 - 36 = 17 binary digits of x."""


def statistics(df: DataFrame, features: Mapping[str, FeatureSettings]) -> dict[str, Any]:
    """Return `num_rows` and each number's statistics, named `<statistic>_<feature's index>`.

    Doubles come as JSON has them: null is left out, NaN and Infinity are texts.
    """
    asked = [
        (index, numbers)
        for index, (name, feature) in enumerate(features.items())
        if (numbers := feature.numbers(feature.column or name))
    ]
    plain = [one for one in asked if one[1].elements is None]
    queries = [
        _aggregated(df, plain[first : first + _COLUMNS_AT_A_TIME], ["count(1) AS num_rows"])
        for first in range(0, max(len(plain), 1), _COLUMNS_AT_A_TIME)
    ]
    queries += [
        _aggregated(_exploded(df, numbers.elements), [(index, numbers)])
        for index, numbers in asked
        if numbers.elements is not None
    ]
    rows = reduce(lambda one, other: one.union(other), queries).collect()
    return {name: value for row in rows for name, value in json.loads(row["json"]).items()}


def _exploded(df: DataFrame, elements: str) -> DataFrame:
    """Return a row `element` of each element of an array."""
    return df.selectExpr(f"explode({elements}) AS element")


def _aggregated(
    df: DataFrame,
    asked: list[tuple[int, Numbers]],
    aggregates: list[str] | None = None,
) -> DataFrame:
    """Return a row with one JSON text of the statistics of numbers, each with its index."""
    columns, aggregates = [], list(aggregates or [])
    for index, numbers in asked:
        columns.append(f"abs({numbers.raw}) = CAST('Infinity' AS DOUBLE) AS infinite_{index}")
        aggregates.append(f"count_if(infinite_{index}) AS infinite_{index}")
        if numbers.value is not None:
            columns.append(
                f"CASE WHEN {present(numbers.raw)} THEN {numbers.value} END AS x_{index}"
            )
            aggregates += _aggregates(index, numbers.needed)
    # As JSON, doubles come back exactly, and all queries have the same one column.
    return df.selectExpr(*columns).selectExpr(f"to_json(struct({', '.join(aggregates)})) AS json")


def _aggregates(index: int, needed: Collection[str]) -> list[str]:
    x = f"x_{index}"
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


def rounded(x: str) -> str:
    """Return the SQL expression of a double rounded to 17 binary digits."""
    return f"{x} * {_SPLITTER} - ({x} * {_SPLITTER} - {x})"


def vocabularies(df: DataFrame, features: Mapping[str, FeatureSettings]) -> dict[int, list[str]]:
    """Return the values of each category and sequence by its index, the most frequent first.

    Bounded: at most `max_size` (or `MAX_VOCABULARY` + 1) values a feature.
    """
    counted = {
        index: texts
        for index, (name, feature) in enumerate(features.items())
        if (texts := feature.texts(feature.column or name))
    }
    pairs = [
        _exploded(df, asked.elements).selectExpr(f"{index} AS feature", f"{asked.text} AS value")
        for index, asked in counted.items()
        if asked.elements is not None
    ]
    plain = [f"{n}, {asked.text}" for n, asked in counted.items() if asked.elements is None]
    if plain:
        pairs.append(df.selectExpr(f"stack({len(plain)}, {', '.join(plain)}) AS (feature, value)"))
    if not pairs:
        return {}
    found: dict[int, list[str]] = {index: [] for index in counted}
    for row in _most_frequent(reduce(lambda one, other: one.union(other), pairs), counted):
        found[row["feature"]].append(row["value"])
    return found


def _most_frequent(pairs: DataFrame, counted: Mapping[int, Texts]) -> list[Row]:
    """Return rows with feature and value, each feature in the vocabulary's order."""
    limits = {index: one.max_size or MAX_VOCABULARY + 1 for index, one in counted.items()}
    counts = {index: one.min_count for index, one in counted.items()}
    return (
        pairs.where("value IS NOT NULL")
        .groupBy("feature", "value")
        .count()
        .where(f"count >= {_by_feature(counts)}")
        .selectExpr(
            "feature",
            "value",
            "row_number() OVER (PARTITION BY feature ORDER BY count DESC, value) AS place",
        )
        .where(f"place <= {_by_feature(limits)}")
        .orderBy("feature", "place")
        .collect()
    )


def _by_feature(numbers: Mapping[int, int]) -> str:
    cases = " ".join(f"WHEN {index} THEN {number}" for index, number in numbers.items())
    return f"CASE feature {cases} END"
