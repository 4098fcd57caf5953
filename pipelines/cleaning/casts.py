"""Bronze values become typed ones where nothing is lost by it; what else there is, is a finding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.texts import (
    from_text,
    moment_from_text,
    plain_number,
    stored_from_text,
)
from pipelines.cleaning.typed import from_typed, is_number, moment_from_typed
from pipelines.cleaning.zones import NOT_SAID, TWICE, comes_twice, exists, moment_of
from pipelines.config.columns import FRACTIONS, Column, synonym
from pipelines.config.formats import marks_of, says_zone
from pipelines.errors import SchemaError, SettingsError, nearest
from pipelines.quality.rules import REASONS, names_where

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

RAW = "_raw"
IS_DROPPED = "_is_dropped"
ORDER = ("_order_file_at", "_order_file", "_order_row")
"""The order key: of two rows with one key, the one with the greater triple is newer."""
BOOKKEEPING = ("_source_file", "_source_modified_at", "_row", "_batch", "_ingested_at")
"""Bronze columns that `ingest` adds; all others are the source's own."""
RELEASE_BATCH = -2
"""`_batch` of a row that a person put back: see `pipelines.cleaning.release`."""
IS_RELEASED = "_is_released"
_WHITE = " \t\r\n\f\u00a0\ufeff"
ZONED = "_zoned_"
"""Begins the name of a column that says how a timestamp came to its zone: see `zones`."""
_TEXT, _LOCAL, _MOMENT = "_text_", "_local_", "_moment_"
# A moment of another year can be read by neither Python nor a pattern of four digits.
_FIRST, _LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"


def raw_columns(df: DataFrame) -> list[str]:
    """Return the columns of a bronze frame that come from the source."""
    return [name for name in df.columns if name not in BOOKKEEPING]


def cast_columns(df: DataFrame, columns: Mapping[str, Column], zone: str = "UTC") -> DataFrame:
    """Return the declared columns of a bronze frame, typed, with `_raw`, order key and `_reasons`.

    Of a frame with `_batch`, `_is_released` tells rows that a person put back.

    Texts are trimmed, `null_values` become null, the rest is what the type's pattern says (see
    `pipelines.cleaning.texts`), or what `format` reads. Typed values are cast, and kept if they
    can be cast back (`pipelines.cleaning.typed`). NaN and infinity are no numbers. Times without
    an offset are of `zone`; columns `_zoned_<column>` say of which values that is so. What would
    be another value is null and, with `on_cast_error: quarantine`, the reason `cast:<column>`.
    """
    origins = raw_columns(df)
    for name, column in columns.items():
        origin = column.source or name
        if origin not in origins:
            raise SchemaError(
                f"column '{name}' is read from '{origin}', which the bronze table lacks; it has "
                f"{', '.join(origins)}.{nearest(origin, origins)}"
            )
    # What has no type came in no file.
    came = [name for name in origins if df.schema[name].dataType.typeName() != "void"]
    released = [IS_RELEASED] if "_batch" in df.columns else []
    # Two steps: what the second one uses several times is computed once.
    present = df.select(
        F.struct(*[F.col(f"`{name}`") for name in came]).alias(RAW),
        F.col("_source_modified_at").alias(ORDER[0]),
        F.col("_source_file").alias(ORDER[1]),
        F.col("_row").cast("bigint").alias(ORDER[2]),
        *[(F.col("_batch") == RELEASE_BATCH).alias(IS_RELEASED) for _ in released],
        *[_present(df, name, column).alias(_TEXT + name) for name, column in columns.items()],
    )
    moments = [name for name, column in columns.items() if column.type == "timestamp"]
    others = {name: column for name, column in columns.items() if name not in moments}
    typed = present.withColumns(
        {name: _typed(present, name, column, zone) for name, column in others.items()}
    )
    if moments:
        typed = _with_moments(typed, {name: columns[name] for name in moments}, zone)
    failed = {
        f"cast:{name}": F.col(f"`{_TEXT}{name}`").isNotNull() & F.col(f"`{name}`").isNull()
        for name, column in columns.items()
        if column.on_cast_error == "quarantine"
    }
    return typed.select(
        *[F.col(f"`{name}`") for name in columns],
        RAW,
        *ORDER,
        names_where(failed).alias(REASONS),
        F.lit(False).alias(IS_DROPPED),
        *released,
        *[F.col(f"`{ZONED}{name}`") for name in moments],
    )


def _present(df: DataFrame, name: str, column: Column) -> SparkColumn:
    """Return the bronze value, null where it says that it is missing."""
    origin = column.source or name
    value = F.col(f"`{origin}`")
    kind, found = df.schema[origin].dataType.typeName(), df.schema[origin].dataType.simpleString()
    if kind in ("binary", "array", "map", "struct"):
        return value
    if kind == "void":
        return value.cast("string")
    if kind in ("double", "float"):
        value = F.when(~F.isnan(value), value)  # pandas writes a missing number as NaN
    if kind == "string" and column.trim:
        value = F.btrim(value, F.lit(_WHITE))
    if not column.null_values:
        return value
    is_missing = value.cast("string").isin(*column.null_values)
    if is_number(found) or found in ("date", "timestamp", "timestamp_ntz"):
        # A typed value has no letters of its own: -999.0 is what `-999` says.
        said = (stored_from_text(F.lit(text), found) for text in column.null_values if text)
        is_missing = reduce(lambda any_, one: any_ | value.eqNullSafe(one), said, is_missing)
    return F.when(~is_missing, value)


def _typed(df: DataFrame, name: str, column: Column, zone: str) -> SparkColumn:
    """Return a column of any type but timestamp."""
    value, kind = F.col(f"`{_TEXT}{name}`"), synonym(column.type)
    found = df.schema[_TEXT + name].dataType.simpleString()
    if found != "string":
        typed = from_typed(value, found, kind, zone)
        if kind in FRACTIONS:
            typed = F.when(F.abs(typed) < float("inf"), typed)
        if kind == "date":
            typed = F.when(_is_in_calendar(typed.cast("timestamp")), typed)
    elif column.patterns and kind == "date":
        at = _by_format(df, value, name, column)
        day = at.cast("date")
        # What is no midnight would lose its time of day.
        typed = F.when(_is_in_calendar(at) & (day.cast("timestamp") == at), day)
    else:
        marks = marks_of(column.patterns[0]) if column.patterns else None
        typed = from_text(plain_number(value, marks) if marks else value, kind)
    _check_possible(df, name, column, typed)
    return typed


def _with_moments(df: DataFrame, columns: Mapping[str, Column], zone: str) -> DataFrame:
    """Add the columns of type timestamp, and how they came to their zone."""
    read: dict[str, SparkColumn] = {}
    for name, column in columns.items():
        value = F.col(f"`{_TEXT}{name}`")
        found = df.schema[_TEXT + name].dataType.simpleString()
        if found != "string":
            at, is_local = moment_from_typed(value, found)
        elif column.patterns:
            at = _by_format(df, value, name, column)
            is_local = F.lit(not says_zone(column.patterns[0]))
        else:
            at, is_local = moment_from_text(value)
        _check_possible(df, name, column, at)
        read |= {_LOCAL + name: at, ZONED + name: is_local}
    # Step by step, for the same reason.
    df = df.withColumns(read)
    moments: dict[str, SparkColumn] = {}
    made: dict[str, SparkColumn] = {}
    for name in columns:
        local, is_local = F.col(f"`{_LOCAL}{name}`"), F.col(f"`{ZONED}{name}`")
        moments[_MOMENT + name] = F.when(is_local, moment_of(local, zone)).otherwise(local)
        moment = F.col(f"`{_MOMENT}{name}`")
        is_there = ~is_local | exists(local, moment, zone)
        made[name] = F.when(is_there & _is_in_calendar(moment), moment)
        is_twice = comes_twice(local, moment, zone)
        how = F.when(is_twice, F.lit(TWICE)).otherwise(F.lit(NOT_SAID))
        made[ZONED + name] = F.when(is_local & local.isNotNull(), how).cast("tinyint")
    return df.withColumns(moments).withColumns(made)


def _is_in_calendar(at: SparkColumn) -> SparkColumn:
    return at.between(*[F.lit(end).cast("timestamp") for end in (_FIRST, _LAST)])


def _check_possible(df: DataFrame, name: str, column: Column, typed: SparkColumn) -> None:
    """Raise SettingsError where Spark knows no way from the type in bronze to the declared one."""
    from pyspark.errors import AnalysisException

    try:
        df.select(typed)
    except AnalysisException as error:
        found = df.schema[_TEXT + name].dataType.simpleString()
        raise SettingsError(
            f"column '{name}': bronze holds {found}, which can't become {column.type} with "
            f"nothing lost. Declare it as {found}, and derive from it what you need "
            f"(`clean.entities.<entity>.derive`, as `to_json({name})`)"
        ) from error


def _by_format(df: DataFrame, value: SparkColumn, name: str, column: Column) -> SparkColumn:
    """Return the time that a text says by the patterns that fit; null where two say another one."""
    for pattern in column.patterns:
        probe = df.sparkSession.range(1).select(F.try_to_timestamp(F.lit("0"), F.lit(pattern)))
        try:
            probe.head()
        except Exception as error:
            raise SettingsError(
                f"column '{name}': `format: {pattern}` is no date pattern of Spark; expected "
                "something like `yyyyMMdd` or `dd.MM.yyyy HH:mm`"
            ) from error
    read = [F.try_to_timestamp(value, F.lit(pattern)) for pattern in column.patterns]
    if len(read) == 1:
        return read[0]
    first, last = F.least(*read), F.greatest(*read)
    return F.when(first == last, first)
