"""A FeatureSpec as Spark SQL: one select expression per model input.

Whatever the raw values are, no expression raises in ANSI mode and none gives null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zlib import crc32

from pipelines.errors import FeatureError, nearest
from pipelines.features.hashing import crc32_sql
from pipelines.features.spec import (
    MISSING,
    OUT_OF_VOCABULARY,
    FeatureSpec,
    FittedCategory,
    FittedCyclical,
    FittedFeature,
    FittedHashed,
    FittedNumeric,
    base_type,
)

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_TWO_PI = "6.283185307179586D"


def to_sql(spec: FeatureSpec) -> list[str]:
    """Return select expressions over raw feature columns, aliased by the names of `spec.inputs`.

    Numeric inputs are computed as double and given as float, categories as int.
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
        then, now = base_type(feature.raw_type), base_type(found[feature.column])
        if ("string" in (then, now) or "date" in (then, now)) and then != now:
            raise FeatureError(
                f"column '{feature.column}' was {feature.raw_type} when feature '{feature.name}' "
                f"was fitted and is {found[feature.column]} now. Cast it in `featurize`, or fit "
                "again with `normalize`."
            )


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
    return f"CAST({quoted(column)} AS DOUBLE)"


def as_text(column: str) -> str:
    """Return a raw category column as a string expression, null where missing."""
    return f"nullif(CAST({quoted(column)} AS STRING), '')"


def log1p(double: str) -> str:
    """Return log1p of a double expression, negative values taken as 0."""
    return f"log1p(greatest({double}, 0.0D))"


def _expressions(feature: FittedFeature) -> list[str]:
    match feature:
        case FittedNumeric():
            values = _numeric(feature)
        case FittedCyclical():
            double = as_double(feature.column)
            # The remainder is exact, so that far values lose nothing in the sine.
            period = number(feature.period)
            angle = f"{_TWO_PI} * (({double} % {period}) / {period})"
            values = [_float(double, f"{name}({angle})", 0.0) for name in ("sin", "cos")]
        case FittedCategory():
            values = [_category(feature)]
        case FittedHashed():
            text = as_text(feature.column)
            place = f"CAST(1 + pmod({crc32_sql(text)}, {feature.buckets}L) AS INT)"
            values = [f"coalesce({place}, {MISSING})"]
    names = [quoted(each.name) for each in feature.inputs()]
    return [f"{value} AS {name}" for value, name in zip(values, names, strict=True)]


def _float(double: str, value: str, missing: float) -> str:
    return f"CAST(CASE WHEN {present(double)} THEN {value} ELSE {number(missing)} END AS FLOAT)"


def _numeric(feature: FittedNumeric) -> list[str]:
    double = as_double(feature.column)
    value = log1p(double) if feature.log1p else double
    if feature.spread == 0:
        value = number(0.0)
    elif (feature.center, feature.spread) != (0.0, 1.0):
        value = f"({value} - {number(feature.center)}) / {number(feature.spread)}"
    values = [_float(double, value, feature.missing)]
    if feature.missing_flag:
        values.append(f"CAST(CASE WHEN {present(double)} THEN 0 ELSE 1 END AS FLOAT)")
    return values


def _category(feature: FittedCategory) -> str:
    """Look the value up in an array of small maps, one per hash bucket.

    A map literal alone is searched from its beginning, a CASE too: with thousands of values each
    row would pay for all of them. The optimizer parses the JSON once and puts the finished
    array into the plan.
    """
    text = as_text(feature.column)
    if not feature.vocabulary:
        return f"CASE WHEN {text} IS NULL THEN {MISSING} ELSE {OUT_OF_VOCABULARY} END"
    buckets: list[dict[str, int]] = [{} for _ in range(2 * len(feature.vocabulary))]
    for index, value in enumerate(feature.vocabulary, start=2):
        buckets[crc32(value.encode()) % len(buckets)][value] = index
    table = literal(buckets, "array<map<string,int>>")
    place = f"CAST(pmod({crc32_sql(text)}, {len(buckets)}L) AS INT)"
    found = f"coalesce({table}[{place}][{text}], {OUT_OF_VOCABULARY})"
    return f"CASE WHEN {text} IS NULL THEN {MISSING} ELSE {found} END"


def literal(value: object, sql_type: str) -> str:
    """Return a literal of a nested type, written as JSON."""
    # A raw string takes backslashes as they are. A quote would end it, ${x} be replaced by Spark.
    text = json.dumps(value, separators=(",", ":"))
    text = text.replace("'", "\\u0027").replace("$", "\\u0024")
    return f"from_json(r'{text}', '{sql_type}')"
