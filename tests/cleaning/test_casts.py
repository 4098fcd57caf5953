"""Texts become typed values or reasons."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.cleaning.casts import cast_columns
from pipelines.config.clean import Column
from pipelines.errors import SchemaError, SettingsError

pytestmark = pytest.mark.spark
AT = dt.datetime(2013, 1, 1)


def bronze(spark, rows, schema):
    full = [(*row, "f.csv", AT, i) for i, row in enumerate(rows)]
    return spark.createDataFrame(
        full, f"{schema}, _source_file string, _source_modified_at timestamp, _row bigint"
    )


def values(spark, texts, column, kind="string"):
    """Cast one column; a value that failed shows as its reasons."""
    df = cast_columns(bronze(spark, [(t,) for t in texts], f"v {kind}"), {"v": column})
    rows = df.orderBy("_order_row").selectExpr("_reasons", "v", "CAST(v AS string) AS s").collect()
    return [row["_reasons"] or row["s"] for row in rows]


def test_whole_numbers(spark):
    texts = [" 42 ", "-7", "517.0", "5.5", "1e3", "abc", "3000000000", "NA", "", None, "\t8\u00a0"]
    bad = ["cast:v"]
    assert values(spark, texts, Column(type="int")) == [
        "42", "-7", "517", bad, bad, bad, bad, None, None, None, "8",
    ]  # fmt: skip


def test_fractions_know_no_comma_no_nan_and_no_infinity(spark):
    texts = ["1.50", "1,5", "NaN", "Infinity", "-1e400", "1e3", "1 000"]
    bad = ["cast:v"]
    assert values(spark, texts, Column(type="double")) == [
        "1.5", bad, bad, bad, bad, "1000.0", bad,
    ]  # fmt: skip


def test_decimals_booleans_and_text(spark):
    assert values(spark, ["12.345", "x"], Column(type="decimal(6,2)")) == ["12.35", ["cast:v"]]
    assert values(spark, ["TRUE", "0", "maybe"], Column(type="boolean")) == [
        "true", "false", ["cast:v"],
    ]  # fmt: skip
    assert values(spark, ["  a b ", "NA"], Column()) == ["a b", None]
    assert values(spark, [" a", "NA ", ""], Column(trim=False)) == [" a", "NA ", None]
    assert values(spark, ["-", "NA"], Column(null_values=("-",))) == [None, "NA"]


def test_timestamps_are_iso_with_or_without_zone_and_never_of_today(spark):
    texts = ["2013-01-01T10:00:00Z", "2013-01-01 10:00", "2013-01-01T10:00:00+02:00", "10:00", "x"]
    bad = ["cast:v"]
    assert values(spark, texts, Column(type="timestamp")) == [
        "2013-01-01 10:00:00", "2013-01-01 10:00:00", "2013-01-01 08:00:00", bad, bad,
    ]  # fmt: skip


def test_dates_and_times_by_pattern(spark):
    assert values(spark, ["20130131", "20130231", "2013-01-31"], Column(
        type="date", format="yyyyMMdd"
    )) == ["2013-01-31", ["cast:v"], ["cast:v"]]  # fmt: skip
    assert values(spark, ["31.01.2013 05:15"], Column(
        type="timestamp", format="dd.MM.yyyy HH:mm"
    )) == ["2013-01-31 05:15:00"]  # fmt: skip
    assert values(spark, ["2013-01-31", "2013-02-30"], Column(type="date")) == [
        "2013-01-31", ["cast:v"],
    ]  # fmt: skip


def test_a_pattern_that_spark_does_not_know_is_refused(spark):
    with pytest.raises(SettingsError, match=r"column 'v': `format: \{\{nope` is no date pattern"):
        values(spark, ["1"], Column(type="date", format="{{nope"))


def test_a_failed_cast_may_be_a_missing_value_instead(spark):
    assert values(spark, ["x", "1"], Column(type="int", on_cast_error="null")) == [None, "1"]


def test_typed_bronze_columns_are_taken_as_they_are(spark):
    assert values(spark, [1.5, float("nan")], Column(type="double"), "double") == ["1.5", None]
    assert values(spark, [7, -999], Column(type="int", null_values=("-999",)), "bigint") == [
        "7", None,
    ]  # fmt: skip
    assert values(spark, [3_000_000_000], Column(type="int"), "bigint") == [["cast:v"]]
    with pytest.raises(SettingsError, match="bronze holds array<int>, which can't become int"):
        values(spark, [[1]], Column(type="int"), "array<int>")


def test_columns_are_picked_renamed_and_the_raw_row_is_kept(spark):
    df = cast_columns(
        bronze(spark, [("1", " x ", "rest")], "a string, b string, c string"),
        {"number": Column(source="a", type="int"), "b": Column()},
    )
    row = df.head()
    assert df.columns == [
        "number", "b", "_raw", "_order_file_at", "_order_file", "_order_row", "_reasons",
        "_is_dropped",
    ]  # fmt: skip
    assert (row["number"], row["b"]) == (1, "x")
    assert row["_raw"].asDict() == {"a": "1", "b": " x ", "c": "rest"}
    assert (row["_order_file"], row["_order_row"], row["_is_dropped"]) == ("f.csv", 0, False)


def test_a_column_that_bronze_lacks_is_named_with_the_nearest_one(spark):
    with pytest.raises(SchemaError, match=r"read from 'tailnumm'.*Did you mean 'tailnum'\?"):
        cast_columns(bronze(spark, [("x",)], "tailnum string"), {"tailnumm": Column()})
