"""A FeatureSpec as Spark SQL: one select expression per model input.

Whatever the raw values are, no expression raises in ANSI mode and none gives null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never
from zlib import crc32

from pipelines.errors import FeatureError, nearest
from pipelines.features.hashing import crc32_sql
from pipelines.features.spec import (
    MISSING,
    NUMBER_TYPES,
    OUT_OF_VOCABULARY,
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
    element_type,
)

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_TWO_PI = "6.283185307179586D"
_ELEMENT = "_tidemill_element"
"""The variable that runs through an array; it hides a raw column of this name."""


def to_sql(spec: FeatureSpec) -> list[str]:
    """Return select expressions over raw feature columns, aliased by the names of `spec.inputs`.

    Numeric inputs are computed as double and given as float, categories as int, arrays and
    sequences as lists of these, images as their encoded bytes (empty for null).
    """
    return [each for feature in spec.features for each in _expressions(feature)]


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
            why = " (categories are known by their text)" if _is_text(feature) else ""
            raise FeatureError(
                f"column '{feature.column}' was {then} when feature '{feature.name}' was fitted "
                f"and is {now} now{why}. Put its type back in `featurize`: CAST({feature.column} "
                f"AS {then}); or fit and train again: `tidemill normalize`, `train`, `promote`."
            )


_WHOLE = ("tinyint", "smallint", "int", "bigint")


def _is_text(feature: FittedFeature) -> bool:
    """Tell whether a feature looks its values up by their text."""
    return isinstance(feature, FittedCategory | FittedHashed | FittedSequence)


def _family(feature: FittedFeature, raw_type: str) -> str:
    """Return what a raw type is to a feature: types of one family may take each other's place.

    To a category they must give a value the same text: 1, 1.0 and true are three.
    """
    element = element_type(raw_type)
    if element is not None:
        return f"array of {_family(feature, element)}"
    plain = base_type(raw_type)
    if _is_text(feature):
        return "whole number" if plain in _WHOLE else raw_type
    return "number" if plain in NUMBER_TYPES else plain


def quoted(column: str) -> str:
    """Return a column's name in backticks."""
    return "`" + column.replace("`", "``") + "`"


def number(value: float) -> str:
    """Return a double literal of exactly this value."""
    return f"({value!r}D)"


def present(double: str) -> str:
    """Return the condition that a double expression is neither null, NaN nor infinite."""
    # NaN is greater than everything in Spark's order, so one comparison is enough.
    return f"abs({double}) < CAST('Infinity' AS DOUBLE)"


def as_double(column: str) -> str:
    """Return a raw number column as a double expression."""
    return double(quoted(column))


def double(value: str) -> str:
    """Return an expression of a number as one of a double."""
    return f"CAST({value} AS DOUBLE)"


def as_text(column: str) -> str:
    """Return a raw category column as a string expression, null where missing."""
    return text(quoted(column))


def text(value: str) -> str:
    """Return an expression of a category as one of its text, null where missing."""
    return f"nullif(CAST({value} AS STRING), '')"


def kept(column: str, length: int, keep: str) -> str:
    """Return the elements of an array column that fit into `length`; none where it is null."""
    start = "1" if keep == "first" else f"greatest({_size(column)} - {length}, 0) + 1"
    return f"slice(coalesce({quoted(column)}, array()), {start}, {length})"


def _size(column: str) -> str:
    return f"coalesce(array_size({quoted(column)}), 0)"


def log1p(double: str) -> str:
    """Return log1p of a double expression, negative values taken as 0."""
    return f"log1p(greatest({double}, 0.0D))"


def _expressions(feature: FittedFeature) -> list[str]:
    match feature:
        case FittedNumeric():
            values = _numeric(feature)
        case FittedCyclical():
            raw = as_double(feature.column)
            # The remainder is exact, so that far values lose nothing in the sine.
            period = number(feature.period)
            angle = f"{_TWO_PI} * (({raw} % {period}) / {period})"
            values = [_float(raw, f"{name}({angle})", 0.0) for name in ("sin", "cos")]
        case FittedCategory():
            values = [_category(as_text(feature.column), feature.vocabulary)]
        case FittedHashed():
            values = [_hashed(as_text(feature.column), feature.buckets)]
        case FittedArray():
            values = _array(feature)
        case FittedSequence():
            values = [_sequence(feature)]
        case FittedImage():
            values = [f"coalesce({quoted(feature.column)}, X'')"]
        case _:
            assert_never(feature)
    names = [quoted(each.name) for each in feature.inputs()]
    return [f"{value} AS {name}" for value, name in zip(values, names, strict=True)]


def _float(raw: str, value: str, missing: float) -> str:
    return f"CAST(CASE WHEN {present(raw)} THEN {value} ELSE {number(missing)} END AS FLOAT)"


def _scaled(value: str, center: float, spread: float) -> str:
    if spread == 0:
        return number(0.0)
    if (center, spread) == (0.0, 1.0):
        return value
    return f"({value} - {number(center)}) / {number(spread)}"


def _numeric(feature: FittedNumeric) -> list[str]:
    raw = as_double(feature.column)
    value = log1p(raw) if feature.log1p else raw
    values = [_float(raw, _scaled(value, feature.center, feature.spread), feature.missing)]
    if feature.missing_flag:
        values.append(f"CAST(CASE WHEN {present(raw)} THEN 0 ELSE 1 END AS FLOAT)")
    return values


def _hashed(value: str, buckets: int) -> str:
    place = f"CAST(1 + pmod({crc32_sql(value)}, {buckets}L) AS INT)"
    return f"coalesce({place}, {MISSING})"


def _category(value: str, vocabulary: tuple[str, ...]) -> str:
    """Look a text up in an array of small maps, one per hash bucket.

    A map literal alone is searched from its beginning, a CASE too: with thousands of values each
    row would pay for all of them. The optimizer parses the JSON once and puts the finished
    array into the plan.
    """
    if not vocabulary:
        return f"CASE WHEN {value} IS NULL THEN {MISSING} ELSE {OUT_OF_VOCABULARY} END"
    buckets: list[dict[str, int]] = [{} for _ in range(2 * len(vocabulary))]
    for index, known in enumerate(vocabulary, start=2):
        buckets[crc32(known.encode()) % len(buckets)][known] = index
    table = literal(buckets, "array<map<string,int>>")
    place = f"CAST(pmod({crc32_sql(value)}, {len(buckets)}L) AS INT)"
    found = f"coalesce({table}[{place}][{value}], {OUT_OF_VOCABULARY})"
    return f"CASE WHEN {value} IS NULL THEN {MISSING} ELSE {found} END"


def _array(feature: FittedArray) -> list[str]:
    raw = double(_ELEMENT)
    value = _float(raw, _scaled(raw, feature.center, feature.spread), feature.missing)
    values = [_list(feature, value, "CAST(0 AS FLOAT)")]
    if feature.mask:
        flag = f"CAST(CASE WHEN {present(raw)} THEN 1 ELSE 0 END AS FLOAT)"
        values.append(_list(feature, flag, "CAST(0 AS FLOAT)"))
    return values


def _sequence(feature: FittedSequence) -> str:
    raw = text(_ELEMENT)
    if feature.buckets is not None:
        index = _hashed(raw, feature.buckets)
    else:
        index = _category(raw, feature.vocabulary)
    return _list(feature, index, str(MISSING))


def _list(feature: FittedArray | FittedSequence, value: str, padding: str) -> str:
    """Return a list of `length` elements: `value` of each kept one, then `padding`."""
    elements = kept(feature.column, feature.length, feature.keep)
    values = f"transform({elements}, {_ELEMENT} -> {value})"
    return (
        f"slice(concat({values}, array_repeat({padding}, {feature.length})), 1, {feature.length})"
    )


def literal(value: object, sql_type: str) -> str:
    """Return a literal of a nested type, written as JSON."""
    # A raw string takes backslashes as they are. A quote would end it, ${x} be replaced by Spark.
    text = json.dumps(value, separators=(",", ":"))
    text = text.replace("'", "\\u0027").replace("$", "\\u0024")
    return f"from_json(r'{text}', '{sql_type}')"
