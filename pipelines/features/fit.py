"""Fitting a FeatureSpec on the training split, in one pass over its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.config.normalize import Category, Cyclical, Feature, Hashed, Numeric
from pipelines.errors import EmptySplit, FeatureError, nearest
from pipelines.features.fit_query import MAX_VOCABULARY, read_once
from pipelines.features.spec import (
    NUMBER_TYPES,
    TEXT_TYPES,
    FeatureSpec,
    FittedCategory,
    FittedCyclical,
    FittedFeature,
    FittedHashed,
    FittedNumeric,
    base_type,
    check_names,
)
from pipelines.features.statistics import ColumnStatistics, scaling

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


def fit(
    df_train: DataFrame,
    features: Mapping[str, Feature],
    *,
    key: Sequence[str],
    date: str,
    label: str | None,
) -> FeatureSpec:
    """Return the feature spec fitted on all rows of `df_train`, which are read once.

    Raises FeatureError for a raw column that is absent, of a type the feature can't take, holds
    infinity, or has too many values for a vocabulary; EmptySplit where there are no rows.
    """
    types = raw_types(df_train.schema, features)
    found, vocabularies = read_once(df_train, features)
    num_rows = int(found["num_rows"])
    if num_rows == 0:
        raise EmptySplit(
            "features can't be fitted: the training split holds no rows. Check `normalize.split` "
            "against the dates in the features table."
        )
    fitted: list[FittedFeature] = []
    for index, (name, feature) in enumerate(features.items()):
        base = {"name": name, "column": feature.column or name, "raw_type": types[name]}
        match feature:
            case Numeric():
                _refuse_infinite(name, base["column"], found, index)
                numbers = scaling(name, feature, _statistics(found, index))
                fitted.append(
                    FittedNumeric(
                        **base,
                        log1p=feature.log1p,
                        center=numbers.center,
                        spread=numbers.spread,
                        missing=numbers.missing,
                        missing_flag=feature.missing_flag,
                    )
                )
            case Cyclical():
                _refuse_infinite(name, base["column"], found, index)
                fitted.append(FittedCyclical(**base, period=feature.period))
            case Category():
                vocabulary = tuple(vocabularies.get(index, ()))
                if len(vocabulary) > MAX_VOCABULARY:
                    raise FeatureError(
                        f"feature '{name}' has more than {MAX_VOCABULARY:,} values. Set "
                        "`max_size`, raise `min_count`, or use `kind: hashed`."
                    )
                fitted.append(FittedCategory(**base, vocabulary=vocabulary))
            case Hashed():
                fitted.append(FittedHashed(**base, buckets=feature.buckets))
    spec = FeatureSpec(
        key=tuple(key), date=date, label=label, num_rows=num_rows, features=tuple(fitted)
    )
    check_names(spec)
    return spec


def raw_types(schema: StructType, features: Mapping[str, Feature]) -> dict[str, str]:
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
        allowed = NUMBER_TYPES if isinstance(feature, Numeric | Cyclical) else TEXT_TYPES
        if base_type(columns[column]) not in allowed:
            raise FeatureError(
                f"feature '{name}' ({feature.kind}) can't take column '{column}' of type "
                f"{columns[column]}; expected one of {', '.join(allowed)}. Turn it into one of "
                "these in `featurize` (a date, for instance, into its day of the year)."
            )
    return types


def _statistics(found: Mapping[str, Any], index: int) -> ColumnStatistics:
    # to_json leaves nulls out, and writes NaN and Infinity as strings.
    def get(statistic: str) -> float | None:
        value = found.get(f"{statistic}_{index}")
        return None if value is None else float(value)

    quartiles = found.get(f"quartiles_{index}")
    return ColumnStatistics(
        count=int(found[f"count_{index}"]),
        mean=get("mean"),
        std=get("std"),
        min=get("min"),
        max=get("max"),
        quartiles=tuple(float(value) for value in quartiles) if quartiles else None,  # type: ignore[arg-type]
    )


def _refuse_infinite(name: str, column: str, found: Mapping[str, Any], index: int) -> None:
    count = int(found[f"infinite_{index}"])
    if count:
        raise FeatureError(
            f"feature '{name}' can't be fitted: column '{column}' is infinite in {count:,} rows "
            "of the training split. Make these null in `featurize`, or bound them in `clean`."
        )
