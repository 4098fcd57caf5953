"""SQL expressions of users, evaluated so that no row's value can kill the job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.errors import SettingsError
from pipelines.lake.confined_sql import check_expression

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def attempt(df: DataFrame, expression: str) -> Column:
    """Return a column that tries an SQL expression over the columns of `df`.

    It is a struct with the one field `v`, the expression's value, or null where the evaluation
    raised an error (Spark's ANSI mode raises for month 13, division by zero, overflow, ...). So a
    null value and a failed evaluation can be told apart.

    Raises ParseException where the text is no SQL expression.
    """
    from pyspark.sql import Column

    spark: Any = df.sparkSession
    jvm = spark._jvm
    expressions = jvm.org.apache.spark.sql.classic.ExpressionUtils
    # Spark computes what two expressions share once, beforehand, and that would be outside the
    # attempt. It does so only for what is evaluated in any case: hence a condition that is always
    # true, which the optimizer can't see.
    always = f"(hash(`{_plain_column(df)}`) & 1) < 2"
    text = f"if({always}, named_struct('v', ({expression}\n)), null)"
    parsed = spark._jsparkSession.sessionState().sqlParser().parseExpression(text)
    tried = jvm.org.apache.spark.sql.catalyst.expressions.TryEval(parsed)
    return Column(expressions.column(tried))


def analysed(df: DataFrame, expression: str, where: str) -> Column:
    """Return `attempt(df, expression)`; raise SettingsError naming `where` if it can't be analysed.

    `where` says which setting holds the expression.
    """
    from pyspark.errors import AnalysisException

    try:
        with _quiet_spark():
            # Parsed alone first: `1) + (1` would pass inside the parentheses.
            spark: Any = df.sparkSession
            spark._jsparkSession.sessionState().sqlParser().parseExpression(expression)
            check_expression(spark, expression, where)
            column = attempt(df, expression)
            df.withColumn("_tried", column)
    except AnalysisException as error:
        said = str(error).strip().splitlines()[0].split("; line ")[0]
        raise SettingsError(
            f"{where} can't be evaluated: `{expression}`: {said} "
            f"Columns at this point: {', '.join(_public(df))}."
        ) from error
    return column


@contextmanager
def _quiet_spark() -> Iterator[None]:
    """Keep pyspark from logging an error that is going to be told in plain words."""
    from pyspark.logger import PySparkLogger

    logger: logging.Logger = PySparkLogger.getLogger("SQLQueryContextLogger")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _plain_column(df: DataFrame) -> str:
    for field in df.schema.fields:
        if field.dataType.typeName() not in ("map", "struct", "array", "variant"):
            return field.name
    raise SettingsError("an expression needs a table with at least one column of a plain type")


def _public(df: DataFrame) -> list[str]:
    return [name for name in df.columns if not name.startswith("_")]
