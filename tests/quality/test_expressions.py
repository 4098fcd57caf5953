"""No row's value stops a job."""

from __future__ import annotations

import pytest

from pipelines.quality.expressions import attempt

pytestmark = pytest.mark.spark


def test_a_failed_evaluation_is_null_and_a_null_value_is_not(spark):
    rows = [(2013, 1), (2013, 13), (None, 1)]
    df = spark.createDataFrame(rows, "y int, m int")
    found = df.select(attempt(df, "year(make_date(y, m, 1))").alias("t")).collect()
    assert [None if row["t"] is None else row["t"]["v"] for row in found] == [2013, None, None]
    assert [row["t"] is None for row in found] == [False, True, False]


def test_what_two_attempts_share_is_not_computed_outside_of_them(spark):
    """Spark computes common parts once and beforehand: outside the attempt they would raise."""
    df = spark.createDataFrame([(2013, 13), (2013, 2)], "y int, m int").repartition(1)
    twice = "datediff(make_date(y, m, 1), make_date(y, m, 1)) + month(make_date(y, m, 1))"
    found = df.select(
        attempt(df, "make_date(y, m, 1)").alias("a"),
        attempt(df, "make_date(y, m, 1) > date'2000-01-01'").alias("b"),
        attempt(df, twice).alias("c"),
    )
    rows = sorted(tuple(cell is None for cell in row) for row in found.collect())
    assert rows == [(False, False, False), (True, True, True)]


@pytest.mark.parametrize(
    "expression",
    ["1 / n", "CAST(t AS int)", "2147483647 + one", "element_at(array(1), 5)", "to_date(t)"],
)
def test_errors_of_ansi_mode_are_caught(spark, expression):
    df = spark.createDataFrame([(0, 1, "x")], "n int, one int, t string").repartition(1)
    assert df.select(attempt(df, expression).alias("t")).head()["t"] is None


def test_a_comment_at_the_end_of_an_expression_does_no_harm(spark):
    df = spark.createDataFrame([(3,)], "n int")
    assert df.select(attempt(df, "n + 1 -- one more").alias("t")).head()["t"]["v"] == 4
