"""Spark SQL that feature kinds are put together from: expressions as text.

Whatever the raw values are, none raises in ANSI mode.
"""

from __future__ import annotations

import json
from zlib import crc32

from pipelines.encoding.hashing import crc32_sql

MISSING = 0
"""Index of a missing value in int32 inputs."""
OUT_OF_VOCABULARY = 1
"""Index of a category that training did not see (often enough)."""
ELEMENT = "_tidemill_element"
"""The variable that runs through an array; it hides a raw column of this name."""


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


def log1p(double: str) -> str:
    """Return log1p of a double expression, negative values taken as 0."""
    return f"log1p(greatest({double}, 0.0D))"


def as_float(raw: str, value: str, missing: float) -> str:
    """Return `value` as a float where `raw` is present, else `missing`."""
    return f"CAST(CASE WHEN {present(raw)} THEN {value} ELSE {number(missing)} END AS FLOAT)"


def flag(condition: str, then: int) -> str:
    """Return a float that is `then` (1 or 0) under a condition, the other one else."""
    return f"CAST(CASE WHEN {condition} THEN {then} ELSE {1 - then} END AS FLOAT)"


def scaled(value: str, center: float, spread: float) -> str:
    """Return (value - center) / spread; 0.0 for a spread of 0."""
    if spread == 0:
        return number(0.0)
    if (center, spread) == (0.0, 1.0):
        return value
    return f"({value} - {number(center)}) / {number(spread)}"


def hashed(value: str, buckets: int) -> str:
    """Return the index of a text by its hash."""
    place = f"CAST(1 + pmod({crc32_sql(value)}, {buckets}L) AS INT)"
    return f"coalesce({place}, {MISSING})"


def looked_up(value: str, vocabulary: tuple[str, ...]) -> str:
    """Return the index of a text, looked up in an array of small maps, one per hash bucket.

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


def kept(column: str, length: int, keep: str) -> str:
    """Return the elements of an array column that fit into `length`; none where it is null."""
    size = f"coalesce(array_size({quoted(column)}), 0)"
    start = "1" if keep == "first" else f"greatest({size} - {length}, 0) + 1"
    return f"slice(coalesce({quoted(column)}, array()), {start}, {length})"


def padded(elements: str, length: int, value: str, padding: str) -> str:
    """Return a list of `length` elements: `value` of each `ELEMENT` of an array, then padding."""
    values = f"transform({elements}, {ELEMENT} -> {value})"
    return f"slice(concat({values}, array_repeat({padding}, {length})), 1, {length})"


def literal(value: object, sql_type: str) -> str:
    """Return a literal of a nested type, written as JSON."""
    # A raw string takes backslashes as they are. A quote would end it, ${x} be replaced by Spark.
    text = json.dumps(value, separators=(",", ":"))
    text = text.replace("'", "\\u0027").replace("$", "\\u0024")
    return f"from_json(r'{text}', '{sql_type}')"
