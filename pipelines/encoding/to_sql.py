"""A FeatureSpec as Spark SQL: one select expression per model input.

Whatever the raw values are, no expression raises in ANSI mode and none gives null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.encoding.kind import Fitted
from pipelines.encoding.raw import NUMBER_TYPES, base_type, element_type
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.sql import quoted
from pipelines.errors import FeatureError, nearest

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def to_sql(spec: FeatureSpec) -> list[str]:
    """Return select expressions over raw feature columns, aliased by the names of `spec.inputs`.

    Numeric inputs are computed as double and given as float, categories as int, arrays and
    sequences as lists of these, images as their encoded bytes (empty for null).
    """
    return [
        f"{value} AS {quoted(each.name)}"
        for feature in spec.features
        for value, each in zip(feature.sql(), feature.inputs(), strict=True)
    ]


def check_raw_columns(spec: FeatureSpec, schema: StructType) -> None:
    """Refuse a table that lacks a raw column of the spec, or holds it as another kind of type."""
    found = {field.name: field.dataType.simpleString() for field in schema.fields}
    for feature in spec.features:
        if feature.column not in found:
            raise FeatureError(
                f"feature '{feature.name}' reads column '{feature.column}', which the table lacks."
                f"{nearest(feature.column, list(found))}"
            )
        then, now = feature.raw_type, found[feature.column]
        if _family(feature, then) != _family(feature, now):
            why = " (categories are known by their text)" if feature.by_text else ""
            raise FeatureError(
                f"column '{feature.column}' was {then} when feature '{feature.name}' was fitted "
                f"and is {now} now{why}. Put its type back in `featurize`: CAST({feature.column} "
                f"AS {then}); or fit and train again: `tidemill normalize`, `train`, `promote`."
            )


_WHOLE = ("tinyint", "smallint", "int", "bigint")


def _family(feature: Fitted, raw_type: str) -> str:
    """Return what a raw type is to a feature: types of one family may take each other's place.

    To a category they must give a value the same text: 1, 1.0 and true are three.
    """
    element = element_type(raw_type)
    if element is not None:
        return f"array of {_family(feature, element)}"
    plain = base_type(raw_type)
    if feature.by_text:
        return "whole number" if plain in _WHOLE else raw_type
    return "number" if plain in NUMBER_TYPES else plain
