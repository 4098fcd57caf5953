"""The query that fits: all statistics of the training split in one pass over its rows.

How one pass gives both kinds of statistics: each row is turned into one (feature, value) pair per
category and those are counted by a GROUP BY, while an observation (`Dataset.observe`) below it
aggregates the numeric columns of the same rows on their way. GROUPING SETS would carry all numeric
columns through the grouping once per category.

The result does not depend on how rows are spread over tasks: counts, ranges and quartiles are
exact whatever the order, and sums are rounded to ten digits. Quartiles are those of the values
rounded to 17 binary digits, which bounds the memory they take.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config.normalize import Category, Cyclical, Feature, Numeric
from pipelines.errors import FeatureError
from pipelines.features.statistics import needed_statistics
from pipelines.features.to_sql import as_double, as_text, log1p, present

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

MAX_VOCABULARY = 100_000
"""A vocabulary without `max_size` may have so many values; it travels in every query plan."""
_ATTEMPTS = 3
_OBSERVED = "tidemill_fit"
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
        double = as_double(feature.column or name)
        columns.append(f"abs({double}) = CAST('Infinity' AS DOUBLE) AS infinite_{index}")
        if isinstance(feature, Numeric):
            value = log1p(double) if feature.log1p else double
            columns.append(f"CASE WHEN {present(double)} THEN {value} END AS x_{index}")
    return columns


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
        x, needed = f"x_{index}", needed_statistics(feature)
        aggregates.append(f"count({x}) AS count_{index}")
        if "moments" in needed:
            aggregates += [f"avg({x}) AS mean_{index}", f"stddev_pop({x}) AS std_{index}"]
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
    }
    texts = [
        f"{as_text(feature.column or name)} AS text_{index}"
        for index, (name, feature) in enumerate(features.items())
        if isinstance(feature, Category)
    ]
    df = df.selectExpr(*numeric_columns(features), *texts)
    # As JSON, doubles come back exactly, and arrays need no conversion of their own.
    numbers = F.expr(f"to_json(struct({', '.join(numeric_aggregates(features))}))").alias("json")
    if not categories:
        row = df.agg(numbers).head()
        return json.loads(row["json"] if row else "{}"), {}
    for _ in range(_ATTEMPTS):
        found, vocabularies, num_counted = _observe(df, numbers, categories)
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


def _observe(
    df: DataFrame, numbers: Any, categories: Mapping[int, Category]
) -> tuple[dict[str, Any], dict[int, list[str]], int]:
    counted = category_counts(df.observe(_OBSERVED, numbers), categories)
    rows = counted.collect()
    # Asked of the plan that ran, not through pyspark's Observation: that one waits for ever
    # where the optimizer saw that there are no rows, and left the observation out.
    observed = counted._jdf.queryExecution().observedMetrics().get(_OBSERVED)
    found = json.loads(observed.get().getString(0)) if observed.isDefined() else {"num_rows": 0}
    vocabularies: dict[int, list[str]] = {index: [] for index in categories}
    for row in rows:
        if row["value"] is not None and row["num_rows"] >= categories[row["feature"]].min_count:
            vocabularies[row["feature"]].append(row["value"])
    return found, vocabularies, rows[0]["num_all"] if rows else 0


def category_counts(df: DataFrame, categories: Mapping[int, Category]) -> DataFrame:
    """Count the columns `text_<feature's index>`, each feature in the vocabulary's order.

    Gives feature (index), value, num_rows (with that value), num_all (rows of `df`).

    Bounded: at most `max_size` (or `MAX_VOCABULARY` + 1) values a feature, the missing one aside.
    """
    pairs = ", ".join(f"{index}, text_{index}" for index in categories)
    limits = " ".join(
        f"WHEN {index} THEN {feature.max_size or MAX_VOCABULARY + 1}"
        for index, feature in categories.items()
    )
    counts = " ".join(
        f"WHEN {index} THEN {feature.min_count}" for index, feature in categories.items()
    )
    counted = df.selectExpr(f"stack({len(categories)}, {pairs}) AS (feature, value)")
    counted = counted.groupBy("feature", "value").count().withColumnRenamed("count", "num_rows")
    by_feature = "OVER (PARTITION BY feature"
    return (
        counted.selectExpr(
            "*",
            f"sum(num_rows) {by_feature}) AS num_all",
            f"count(value) {by_feature} ORDER BY value IS NULL, num_rows DESC, value) AS place",
        )
        # One row of each feature always stays, for `num_all`.
        .where(
            f"place <= 1 OR value IS NULL OR (place <= CASE feature {limits} END "
            f"AND num_rows >= CASE feature {counts} END)"
        )
        .orderBy("feature", "place")
        .select("feature", "value", "num_rows", "num_all")
    )
