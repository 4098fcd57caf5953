"""Fitting a FeatureSpec on the training split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, assert_never

from pipelines.config.normalize import (
    Category,
    Cyclical,
    Feature,
    Hashed,
    Image,
    Numeric,
    NumericArray,
    Sequence,
)
from pipelines.errors import EmptySplit, FeatureError, nearest
from pipelines.features.fit_query import MAX_VOCABULARY, statistics, vocabularies
from pipelines.features.spec import (
    NUMBER_TYPES,
    TEXT_TYPES,
    FeatureSpec,
    FittedArray,
    FittedCategory,
    FittedCyclical,
    FittedFeature,
    FittedHashed,
    FittedImage,
    FittedNumeric,
    FittedSequence,
    base_type,
    check_names,
    element_type,
)
from pipelines.features.statistics import ColumnStatistics, scaling

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


def fit(
    df_train: DataFrame,
    features: Mapping[str, Feature],
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
                vocabulary = _vocabulary(name, values[index], "`kind: hashed`")
                fitted.append(FittedCategory(**base, vocabulary=vocabulary))
            case Hashed():
                fitted.append(FittedHashed(**base, buckets=feature.buckets))
            case NumericArray():
                _refuse_infinite(name, base["column"], found, index, "elements")
                numbers = scaling(name, feature, _statistics(found, index))
                fitted.append(
                    FittedArray(
                        **base,
                        length=feature.length,
                        keep=feature.keep,
                        center=numbers.center,
                        spread=numbers.spread,
                        missing=numbers.missing,
                        mask=feature.mask,
                    )
                )
            case Sequence():
                fitted.append(
                    FittedSequence(
                        **base,
                        length=feature.length,
                        keep=feature.keep,
                        vocabulary=_vocabulary(name, values.get(index, []), "`buckets`"),
                        buckets=feature.buckets,
                    )
                )
            case Image():
                fitted.append(
                    FittedImage(
                        **base,
                        height=feature.height,
                        width=feature.width,
                        channels=feature.channels,
                    )
                )
            case _:
                assert_never(feature)
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
        fault = _unfit(feature, columns[column])
        if fault:
            raise FeatureError(
                f"feature '{name}' ({feature.kind}) can't take column '{column}' of type "
                f"{columns[column]}; expected {fault}"
            )
    return types


def _unfit(feature: Feature, raw_type: str) -> str | None:
    """Return what was expected of a raw column's type, None where it fits."""
    found: str | None = base_type(raw_type)
    allowed: tuple[str, ...]
    match feature:
        case Image():
            expected, allowed = "binary: whole PNG or JPEG files", ("binary",)
            how = "`unbase64(...)` in `featurize` makes bytes of text."
        case NumericArray() | Sequence():
            found = element_type(raw_type)
            allowed = NUMBER_TYPES if isinstance(feature, NumericArray) else TEXT_TYPES
            expected = f"an array of one of {', '.join(allowed)}"
            how = "Turn it into one in `featurize`, with `array`, `collect_list`, `split`."
        case Numeric() | Cyclical() | Category() | Hashed():
            allowed = NUMBER_TYPES if isinstance(feature, Numeric | Cyclical) else TEXT_TYPES
            expected = f"one of {', '.join(allowed)}"
            how = (
                "Turn it into one of these in `featurize` (a date, for instance, into its day of "
                "the year)."
            )
        case _:
            assert_never(feature)
    return None if found in allowed else f"{expected}. {how}"


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


def _refuse_infinite(
    name: str, column: str, found: Mapping[str, Any], index: int, what: str = "rows"
) -> None:
    count = int(found.get(f"infinite_{index}", 0))
    if count:
        raise FeatureError(
            f"feature '{name}' can't be fitted: column '{column}' is infinite in {count:,} {what} "
            "of the training split. Make these null in `featurize`, or bound them in `clean`."
        )
