"""Missing values, outliers, derived columns on literal rows."""

from __future__ import annotations

import pytest
from chispa import assert_df_equality

from pipelines.cleaning.derive import derive_columns
from pipelines.cleaning.missing import require_key, treat_missing
from pipelines.cleaning.outliers import Bounds, fixed_bounds, treat_outliers
from pipelines.config.columns import Column, Missing, Outliers
from pipelines.errors import SettingsError

pytestmark = pytest.mark.spark


def frame(spark, rows, schema):
    full = [(*row, [], False) for row in rows]
    return spark.createDataFrame(full, f"{schema}, _reasons array<string>, _is_dropped boolean")


def missing(action, value=None, **more):
    return Column(missing=Missing(action=action, value=value), **more)


def test_missing_values_are_kept_filled_flagged_dropped_or_a_reason(spark):
    columns = {
        "kept": Column(),
        "filled": missing("constant", 0, type="int"),
        "flagged": missing("flag"),
        "dropping": missing("drop"),
        "needed": missing("quarantine"),
    }
    schema = "kept string, filled int, flagged string, dropping string, needed string"
    df = frame(spark, [("k", 1, "f", "d", "n"), (None, None, None, None, None)], schema)
    expected = spark.createDataFrame(
        [
            ("k", 1, "f", "d", "n", [], False, False),
            (None, 0, None, None, None, ["missing:needed"], True, True),
        ],
        f"{schema}, _reasons array<string>, _is_dropped boolean, flagged_is_missing boolean",
    )
    assert_df_equality(treat_missing(df, columns), expected, ignore_nullable=True)


def test_a_value_that_can_not_be_cast_is_not_missing_as_well(spark):
    df = spark.createDataFrame(
        [(None, ["cast:n"], False)], "n int, _reasons array<string>, _is_dropped boolean"
    )
    row = treat_missing(df, {"n": missing("quarantine", type="int")}).head()
    assert row["_reasons"] == ["cast:n"]


def test_a_row_without_a_full_key_is_kept_out(spark):
    df = frame(spark, [(1, "a"), (None, "a"), (None, None)], "k int, l string")
    found = [row["_reasons"] for row in require_key(df, ["k", "l"]).collect()]
    assert found == [[], ["missing:k"], ["missing:k", "missing:l"]]


def outliers(action, **more):
    return Outliers(**{"min": 0, "max": 10, **more}, action=action)


def test_outliers_are_clipped_flagged_emptied_or_a_reason(spark):
    columns = {
        "clipped": Column(type="int", outliers=outliers("clip", min=0.5, max=9.5)),
        "flagged": Column(type="double", outliers=outliers("flag")),
        "emptied": Column(type="double", outliers=outliers("null")),
        "kept_out": Column(type="double", outliers=outliers("quarantine")),
    }
    schema = "clipped int, flagged double, emptied double, kept_out double"
    rows = [(5, 5.0, 5.0, 5.0), (-3, -3.0, -3.0, -3.0), (30, 30.0, 30.0, 30.0), (None,) * 4]
    df = treat_outliers(frame(spark, rows, schema), columns, fixed_bounds(columns))
    expected = spark.createDataFrame(
        [
            (5, 5.0, 5.0, 5.0, [], False, False),
            (1, -3.0, None, -3.0, ["outlier:kept_out"], False, True),
            (9, 30.0, None, 30.0, ["outlier:kept_out"], False, True),
            (None, None, None, None, [], False, False),
        ],
        f"{schema}, _reasons array<string>, _is_dropped boolean, flagged_is_outlier boolean",
    )
    assert_df_equality(df, expected, ignore_nullable=True)


def test_bounds_may_be_open_and_bounds_not_yet_known_find_nothing(spark):
    fit = {"method": "iqr", "min": None, "max": None, "date_column": "d"}
    fit["fit_range"] = ("2013-01-01", "2013-01-31")
    columns = {
        "low": Column(type="int", outliers=Outliers(min=0, action="clip")),
        "unknown": Column(type="double", outliers=outliers("flag", **fit)),
    }
    df = frame(spark, [(-1, 1e9), (99, 1.0)], "low int, unknown double")
    found = treat_outliers(df, columns, fixed_bounds(columns)).collect()
    assert [(r["low"], r["unknown_is_outlier"]) for r in found] == [(0, False), (99, False)]
    known = {"unknown": Bounds(0.0, 10.0)}
    found = treat_outliers(df, columns, known).collect()
    assert [r["unknown_is_outlier"] for r in found] == [True, False]


def test_derived_columns_build_on_each_other_and_a_row_that_fails_gets_a_reason(spark):
    df = frame(spark, [(2013, 2, 28), (2013, 2, 30), (None, 1, 1)], "y int, m int, d int")
    expressions = {"day": "make_date(y, m, d)", "next_day": "day + INTERVAL 1 DAY"}
    rows = derive_columns(df, expressions, "clean.entities.x.derive").collect()
    assert [(str(r["day"]), str(r["next_day"]), r["_reasons"]) for r in rows] == [
        ("2013-02-28", "2013-03-01", []),
        ("None", "None", ["derive:day"]),
        ("None", "None", []),
    ]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("make_date(yy, 1, 1)", "`e.derive.day` can't be evaluated: `make_date(yy, 1, 1)`"),
        ("sum(y)", "`e.derive.day` can't be evaluated: `sum(y)`"),
        ("NULL", "`e.derive.day` has no type"),
    ],
)
def test_an_expression_that_can_not_be_analysed_is_refused_by_name(spark, expression, said):
    with pytest.raises(SettingsError) as error:
        derive_columns(frame(spark, [(1,)], "y int"), {"day": expression}, "e.derive")
    assert said in str(error.value)
