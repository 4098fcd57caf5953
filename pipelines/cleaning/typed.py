"""What a typed value becomes: one of another type that, cast back, is what came; else null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.zones import is_utc

if TYPE_CHECKING:
    from pyspark.sql import Column

_FRACTIONS = ("float", "double")
_PAST_BIGINT = float(2**63)
_EVERY_WHOLE = float(2**53)
"""Up to here a double holds every whole number."""
NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")
_FIRST_SECOND, _LAST_SECOND = -2_208_988_800, 7_258_118_400
"""1900 and 2200. Milliseconds taken for seconds lie beyond, but for those of early 1970."""


def from_typed(value: Column, found: str, kind: str, zone: str) -> Column:
    """Return a column of the type `found` as one of the type `kind`, no timestamp.

    A moment becomes the day of the zone where it is a midnight there.
    """
    if found == kind:
        return value
    if found == "timestamp" and kind == "date" and not is_utc(zone):
        value = F.from_utc_timestamp(value, zone)
    typed = value.try_cast(kind)
    is_same = typed.try_cast(found) == value
    if found == "binary" and kind == "string":
        is_same &= F.is_valid_utf8(value.cast("string"))
    if {found, kind} & {*_FRACTIONS}:
        is_same &= _is_same_number(value, typed, found, kind)
    return F.when(is_same, typed)


def _is_same_number(value: Column, typed: Column, found: str, kind: str) -> Column:
    """Return where a floating number and what is cast from or to it are one whole number.

    The cast back can't tell two cases. Spark casts 2^63 to the largest bigint, which is one less.
    And of a large whole number it makes a decimal by the fewest digits that tell it from others.
    """
    number = value if found in _FRACTIONS else typed
    is_below = number < _PAST_BIGINT
    if "bigint" in (found, kind):
        return is_below
    if not (found.startswith("decimal(") or kind.startswith("decimal(")):
        return F.lit(True)
    is_exact = is_below & (value.try_cast("bigint") == typed.try_cast("bigint"))
    return (F.abs(number) <= _EVERY_WHOLE) | F.coalesce(is_exact, F.lit(False))


def moment_from_typed(value: Column, found: str) -> tuple[Column, Column]:
    """Return a typed column as timestamps, and whether each is a local time, of no zone yet.

    Timestamps without a zone and dates are local times; numbers are seconds since 1970.
    """
    moment = value.try_cast("timestamp")
    if found == "timestamp" or not is_number(found):
        return moment, F.lit(found != "timestamp")
    is_second = (value >= _FIRST_SECOND) & (value < _LAST_SECOND)
    return F.when(is_second & (moment.try_cast(found) == value), moment), F.lit(False)


def is_number(found: str) -> bool:
    """Tell whether a type of Spark's holds numbers."""
    return found in NUMBERS or found.startswith("decimal(")
