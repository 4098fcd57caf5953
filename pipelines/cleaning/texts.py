"""What a text becomes, type by type: the value that it says exactly, or null.

Spark's casts take more for a value than what stands there (`72F` is 72.0, `202401` the first of
January, other scripts' digits are digits), so a pattern says first what a text of a type looks
like. A pattern goes with each type; what it lets through Spark's `try_cast` may still refuse (the
30th of February, a number that is too large).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.columns import FRACTIONS, INTEGERS, decimal_of
from pipelines.config.formats import Marks

if TYPE_CHECKING:
    from pyspark.sql import Column

# `\z` and not `$`, which would let a line feed stand behind; `[0-9]`, for there are other digits.
_WHOLE = r"\A[+-]?[0-9]++(\.0++)?\z"
_PLAIN = r"\A[+-]?([0-9]++(\.[0-9]*+)?|\.[0-9]++)\z"
_FRACTION = r"\A[+-]?([0-9]++(\.[0-9]*+)?|\.[0-9]++)([eE][+-]?[0-9]{1,5})?\z"
_NOT_ZERO = r"\A[+-]?[0.]*[1-9]"
_LONG_WHOLE = r"\A[+-]?[0-9]{%d,}(\.0*)?\z"
_BOOLEAN = r"(?i)\A(t|true|y|yes|1|f|false|n|no|0)\z"
_DAY = r"\A(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DATE = _DAY + r"([ T]00:00(:00(\.0++)?)?)?\z"
_TIMESTAMP = (
    _DAY + r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}+0*+)?"
    r"( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?)?\z"
)
_OFFSET = r":[0-9.]++ ?(Z|UTC|[+-][0-9:]++)\z"
# Of so few letters a plain number is neither too large nor too small, and a whole one is exact.
_SURE = {"float": 7, "real": 7, "double": 15}


def from_text(value: Column, kind: str) -> Column:
    """Return a text column as one of the type `kind`; null where it doesn't say such a value.

    `kind` is no timestamp: those have a zone, see `pipelines.cleaning.zones`.
    """
    if kind in INTEGERS:
        whole = F.regexp_replace(value, r"\.0+\z", "")
        typed = F.coalesce(value.try_cast(kind), whole.try_cast(kind))
        return F.when(value.rlike(_WHOLE), typed)
    if kind in FRACTIONS:
        return _fraction(value, kind)
    if (decimal := decimal_of(kind)) is not None:
        return F.when(_fits_scale(value, decimal[1]), value.try_cast(kind))
    if kind == "boolean":
        return F.when(value.rlike(_BOOLEAN), value.try_cast(kind))
    if kind == "date":
        return F.when(value.rlike(_DATE), value.try_cast(kind))
    return value.try_cast(kind)


def moment_from_text(value: Column) -> tuple[Column, Column]:
    """Return a text column as timestamps, and whether each is a local time, of no zone yet.

    The text is ISO 8601 with a space or a `T`, a day alone (its midnight), with `Z`, `UTC` or an
    offset where it is no local time. Of fractions of a second six digits can be kept.
    """
    return (
        F.when(value.rlike(_TIMESTAMP), value.try_cast("timestamp")),
        ~value.rlike(_OFFSET),
    )


def stored_from_text(value: Column, kind: str) -> Column:
    """Return a text column as one of a type that bronze holds; times without an offset are UTC."""
    if kind not in ("timestamp", "timestamp_ntz"):
        return from_text(value, kind)
    at, is_local = moment_from_text(value)
    return at if kind == "timestamp" else F.when(is_local, at.cast(kind))


def plain_number(value: Column, marks: Marks) -> Column:
    """Return a text column's numbers as they are written without marks; null where it has others.

    Marks between thousands may be left out, but where one stands they all do, each before three
    digits: what is grouped otherwise (`0.123`, `1.5`) says that the file writes numbers another
    way, and would become another number. A minus behind the number comes before it.
    """
    point = re.escape(marks.decimal)
    whole = "[0-9]++"
    if marks.groups:
        whole = rf"([1-9][0-9]{{0,2}}([{marks.groups}][0-9]{{3}})++|[0-9]++)"
    number = f"({whole}({point}[0-9]*+)?|{point}[0-9]++)"
    behind = f"|{number}-" if marks.is_minus_behind else ""
    plain = F.translate(value, marks.decimal + marks.groups, ".")
    if marks.is_minus_behind:
        plain = F.regexp_replace(plain, r"\A([^-]++)-\z", "-$1")
    return F.when(value.rlike(rf"\A([+-]?{number}{behind})\z"), plain)


def _fraction(value: Column, kind: str) -> Column:
    """Return floating numbers: the nearest there is, but for what none of them is near.

    That is what is too large, what would be zero, and a whole number that would be another one.
    """
    number = value.try_cast(kind)
    sure = _SURE[kind]
    is_large = value.rlike(_LONG_WHOLE % (sure + 1))
    # Spark takes 2^63 for the largest bigint, which is one less.
    is_exact = (number.try_cast("bigint") == value.try_cast("decimal(38,0)")) & (number < 2.0**63)
    is_kept = (
        value.rlike(_FRACTION)
        & (F.abs(number) < float("inf"))
        & ((number != 0) | ~value.rlike(_NOT_ZERO))
        & (~is_large | is_exact)
    )
    is_short = (F.length(value) <= sure) & value.rlike(_PLAIN)
    return F.when(is_short, number).when(is_kept, number)


def _fits_scale(value: Column, scale: int) -> Column:
    """Return whether a decimal number has no more digits behind its point than `scale`."""
    digits = F.regexp_replace(F.regexp_extract(value, r"\A([^eE]*)", 1), r"[.+-]", "")
    significant = F.rtrim(digits, F.lit("0"))
    behind = F.length(F.regexp_extract(value, r"\.([0-9]*)", 1))
    exponent = F.regexp_extract(value, r"[eE]\+?(-?[0-9]+)\z", 1).try_cast("int")
    moved = behind - F.coalesce(exponent, F.lit(0))
    needed = moved - F.length(digits) + F.length(significant)
    return value.rlike(_FRACTION) & ((needed <= scale) | (significant == ""))
