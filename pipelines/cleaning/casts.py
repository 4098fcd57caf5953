"""Text becomes typed values, and no text can stop the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.config.clean import FRACTIONS, Column
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
_WHITE = " \t\r\n\f\u00a0\ufeff"
_TEXT = "_text_"


def raw_columns(df: DataFrame) -> list[str]:
    """Return the columns of a bronze frame that come from the source."""
    return [name for name in df.columns if name not in BOOKKEEPING]


def cast_columns(df: DataFrame, columns: Mapping[str, Column]) -> DataFrame:
    """Return the declared columns of a bronze frame, typed, with `_raw`, order key and `_reasons`.

    Texts are trimmed, `null_values` become null, the rest is cast by Spark's `try_cast`: numbers
    with a decimal point, dates and times in ISO form (with or without `Z` or an offset) or by
    `format`. Neither locale nor clock has a say: `1,5` is no number, `10:00` no timestamp. A whole
    number may come as `517.0`. NaN and infinity are no numbers. What can't be cast is null and,
    with `on_cast_error: quarantine`, the reason `cast:<column>`.
    """
    from pyspark.sql import functions as F

    origins = raw_columns(df)
    for name, column in columns.items():
        origin = column.source or name
        if origin not in origins:
            raise SchemaError(
                f"column '{name}' is read from '{origin}', which the bronze table lacks; it has "
                f"{', '.join(origins)}.{nearest(origin, origins)}"
            )
    # Two steps: what the second one uses several times is computed once.
    present = df.select(
        F.struct(*[F.col(f"`{name}`") for name in origins]).alias(RAW),
        F.col("_source_modified_at").alias(ORDER[0]),
        F.col("_source_file").alias(ORDER[1]),
        F.col("_row").cast("bigint").alias(ORDER[2]),
        *[_present(df, name, column).alias(_TEXT + name) for name, column in columns.items()],
    )
    typed = present.withColumns(
        {name: _typed(present, name, column) for name, column in columns.items()}
    )
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
    )


def _present(df: DataFrame, name: str, column: Column) -> SparkColumn:
    """Return the bronze value, null where it says that it is missing."""
    from pyspark.sql import functions as F

    origin = column.source or name
    value = F.col(f"`{origin}`")
    kind = df.schema[origin].dataType.typeName()
    if kind in ("binary", "array", "map", "struct"):
        return value
    if kind in ("double", "float"):
        value = F.when(~F.isnan(value), value)  # pandas writes a missing number as NaN
    if kind == "string" and column.trim:
        value = F.btrim(value, F.lit(_WHITE))
    if not column.null_values:
        return value
    return F.when(~value.cast("string").isin(*column.null_values), value)


def _typed(df: DataFrame, name: str, column: Column) -> SparkColumn:
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    value = F.col(f"`{_TEXT}{name}`")
    is_text = df.schema[_TEXT + name].dataType.typeName() == "string"
    if is_text and column.format is not None:
        value = _by_format(df, value, name, column)
    elif is_text and column.is_integer:
        whole = F.regexp_replace(value, r"\.0+$", "")
        value = F.coalesce(value.try_cast(column.type), whole.try_cast(column.type))
    elif is_text and column.type == "timestamp":
        # Spark would take a time without a date as one of today.
        value = F.when(value.rlike(r"^[+-]?\d{4}"), value.try_cast("timestamp"))
    else:
        value = value.try_cast(column.type)
    if column.type in FRACTIONS:
        value = F.when(~F.isnan(value) & (F.abs(value) != float("inf")), value)
    try:
        df.select(value)
    except AnalysisException as error:
        found = df.schema[_TEXT + name].dataType.simpleString()
        raise SettingsError(
            f"column '{name}': bronze holds {found}, which can't become {column.type}"
        ) from error
    return value


def _by_format(df: DataFrame, value: SparkColumn, name: str, column: Column) -> SparkColumn:
    from pyspark.sql import functions as F

    pattern = F.lit(column.format)
    probe = df.sparkSession.range(1).select(F.try_to_timestamp(F.lit("0"), pattern))
    try:
        probe.head()
    except Exception as error:
        raise SettingsError(
            f"column '{name}': `format: {column.format}` is no date pattern of Spark; expected "
            "something like `yyyyMMdd` or `dd.MM.yyyy HH:mm`"
        ) from error
    return F.try_to_timestamp(value, pattern).cast(column.type)
