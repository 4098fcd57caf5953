"""Fitting a FeatureSpec on the training split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.encoding.fit_query import MAX_VOCABULARY, statistics, vocabularies
from pipelines.encoding.kind import FeatureSettings, Found
from pipelines.encoding.spec import FeatureSpec, check_names
from pipelines.encoding.statistics import ColumnStatistics
from pipelines.errors import EmptySplit, FeatureError, nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


def fit(
    df_train: DataFrame,
    features: Mapping[str, FeatureSettings],
    *,
    key: Iterable[str],
    date: str,
    label: str | None,
) -> FeatureSpec:
    """Return the feature spec fitted on all rows of `df_train`.

    Each feature's column is read once, and the columns that chose the rows by each of some queries
    (`fit_query`).

    Raises FeatureError for a raw column that is absent, of a type the feature can't take, holds
    infinity, or has too many values for a vocabulary; EmptySplit where there are no rows.
    """
    types = raw_types(df_train.schema, features)
    found = statistics(df_train, features)
    num_rows = int(found["num_rows"])
    if num_rows == 0:
        raise EmptySplit(
            "features can't be fitted: the training split holds no rows. Check `normalize.split` "
            "against the dates in the features table."
        )
    values = vocabularies(df_train, features)
    fitted = []
    for index, (name, feature) in enumerate(features.items()):
        column = feature.column or name
        numbers, texts = feature.numbers(column), feature.texts(column)
        of = Found(name, column, types[name])
        if numbers is not None:
            _refuse_infinite(of, found, index, "elements" if numbers.elements else "rows")
            if numbers.value is not None:
                of = replace(of, numbers=_statistics(found, index))
        if texts is not None:
            of = replace(of, vocabulary=_vocabulary(name, values[index], texts.instead))
        fitted.append(feature.fitted(of))
    spec = FeatureSpec(
        key=tuple(key), date=date, label=label, num_rows=num_rows, features=tuple(fitted)
    )
    check_names(spec)
    return spec


def raw_types(schema: StructType, features: Mapping[str, FeatureSettings]) -> dict[str, str]:
    """Return the raw column's type of each feature; refuse what its kind can't take."""
    columns = {field.name: field.dataType.simpleString() for field in schema.fields}
    types = {}
    for name, feature in features.items():
        column = feature.column or name
        if column not in columns:
            raise FeatureError(
                f"feature '{name}' reads column '{column}', which the features table lacks."
                f"{nearest(column, list(columns))} Columns come from `featurize`."
            )
        types[name] = columns[column]
        fault = feature.expected.fault(columns[column])
        if fault:
            raise FeatureError(
                f"feature '{name}' ({feature.kind}) can't take column '{column}' of type "
                f"{columns[column]}; expected {fault}"
            )
    return types


def _vocabulary(name: str, values: list[str], instead: str) -> tuple[str, ...]:
    if len(values) > MAX_VOCABULARY:
        raise FeatureError(
            f"feature '{name}' has more than {MAX_VOCABULARY:,} values. Set "
            f"`max_size`, raise `min_count`, or use {instead}."
        )
    return tuple(values)


def _statistics(found: Mapping[str, Any], index: int) -> ColumnStatistics:
    # to_json leaves nulls out, and writes NaN and Infinity as strings.
    def get(statistic: str) -> float | None:
        value = found.get(f"{statistic}_{index}")
        return None if value is None else float(value)

    quartiles, total = found.get(f"quartiles_{index}"), get("sum")
    count = int(found[f"count_{index}"])
    return ColumnStatistics(
        count=count,
        mean=None if total is None else total / count,
        std=get("std"),
        min=get("min"),
        max=get("max"),
        quartiles=tuple(float(value) for value in quartiles) if quartiles else None,  # type: ignore[arg-type]
    )


def _refuse_infinite(of: Found, found: Mapping[str, Any], index: int, what: str) -> None:
    count = int(found.get(f"infinite_{index}", 0))
    if count:
        raise FeatureError(
            f"feature '{of.name}' can't be fitted: column '{of.column}' is infinite in {count:,} "
            f"{what} of the training split. Make these null in `featurize`, or bound them in "
            "`clean`."
        )
