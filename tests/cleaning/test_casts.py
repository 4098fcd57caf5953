"""Texts become typed values or reasons."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from pipelines.cleaning.casts import cast_columns
from pipelines.config.columns import Column
from pipelines.config.formats import SAMPLES
from pipelines.errors import SchemaError, SettingsError
from tests.cleaning import generated, oracle

pytestmark = [pytest.mark.spark, pytest.mark.compiled]
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
    assert values(spark, texts, Column(type="int", null_values=("", "NA"))) == [
        "42", "-7", "517", bad, bad, bad, bad, None, None, None, "8",
    ]  # fmt: skip


def test_only_an_empty_text_is_missing_unless_more_is_said(spark):
    assert values(spark, ["NA", " ", "", None], Column()) == ["NA", None, None, None]


ODD = [
    "72F", "72d", "0x1p3", "1_000", "1,5", "1e400", "1e-400", "NaN", "Infinity", "+Inf", "--1",
    "\u0661\u0662", "\uff11\uff12", "\u22121", "12\n3", "\x0012", "1\u200b", "\u00bd", "1e", ".",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["int", "bigint", "double", "float", "decimal(10,2)", "decimal"])
def test_what_looks_like_a_number_to_java_alone_is_none(spark, kind):
    assert values(spark, ODD, Column(type=kind)) == [["cast:v"]] * len(ODD)


def test_a_decimal_loses_no_digit(spark):
    bad = ["cast:v"]
    assert values(spark, ["12.34", "12.00", "5.", "12345678901"], Column(type="decimal")) == [
        bad, "12", "5", bad,
    ]  # fmt: skip
    texts = ["1.005", "1.5", "-.50", "1.5e-1", "1.5e-2", "1E+3", "123456789.00", "1.230000"]
    assert values(spark, texts, Column(type="decimal(10,2)")) == [
        bad, "1.50", "-0.50", "0.15", bad, "1000.00", bad, "1.23",
    ]  # fmt: skip


def test_numbers_are_read_as_the_files_write_them(spark):
    bad = ["cast:v"]
    texts = ["1.234,56", "1234,56", "-1.234.567,5", "12", "0,5", ",5", "1.234", "12,"]
    assert values(spark, texts, Column(type="double", format="1.234,56")) == [
        "1234.56", "1234.56", "-1234567.5", "12.0", "0.5", "0.5", "1234.0", "12.0",
    ]  # fmt: skip
    odd = [
        "0.123",
        "1.5",
        "12.34,5",
        "1.2345",
        "1,234.5",
        "1 234,5",
        "1,5e3",
        ".",
        "1,2,3",
        "1.234 €",
    ]
    assert values(spark, odd, Column(type="double", format="1.234,56")) == [bad] * len(odd)
    assert values(spark, ["1.5", "1,5"], Column(type="double", format="1234,56")) == [bad, "1.5"]
    assert values(spark, ["1.234,50", "1,005"], Column(type="decimal(9,2)", format="1.234,56")) == [
        "1234.50", bad,
    ]  # fmt: skip
    blanks = ["1 234,5", "1\u00a0234,5", "1\u202f234,5", "1.234,5"]
    assert values(spark, blanks, Column(type="double", format="1 234,56")) == ["1234.5"] * 3 + [bad]
    swiss = Column(type="int", format="1'234.56")
    assert values(spark, ["1'234", "1\u2019234.00", "1'234.5"], swiss) == ["1234", "1234", bad]
    assert values(spark, ["1,234.5"], Column(type="double", format="1,234.56")) == ["1234.5"]


def test_a_minus_behind_a_number_counts_where_the_format_has_one(spark):
    bad = ["cast:v"]
    texts = ["1.234,50-", "-1.234,50", "12-", "0,00-", "7", "--1", "-1-", "1 -", "-", "1-5"]
    assert values(spark, texts, Column(type="double", format="1.234,56-")) == [
        "-1234.5", "-1234.5", "-12.0", "-0.0", "7.0", *[bad] * 5,
    ]  # fmt: skip
    assert values(spark, ["1.50-", "3-"], Column(type="decimal(9,2)", format="1234.56-")) == [
        "-1.50", "-3.00",
    ]  # fmt: skip
    assert values(spark, ["12,50-"], Column(type="double", format="1.234,56")) == [bad]


def test_any_number_comes_back_from_any_way_to_write_it(spark):
    cents = [0, 1, -7, 99, 100, -12345, 123456, 100_000_000, 98_765_432_109, -(10**15)]
    numbers = [Decimal(one).scaleb(-2) for one in cents]
    for sample in SAMPLES:
        signs = str.maketrans({",": sample[1:-6], ".": sample[-3]})
        texts = [f"{number:,.2f}".translate(signs) for number in numbers]
        behind = [re.sub("^-(.*)$", r"\1-", text) for text in texts]
        for written, form in ((texts, sample), (behind, f"{sample}-")):
            column = Column(type="decimal(38,2)", format=form)
            assert values(spark, written, column) == [f"{number:.2f}" for number in numbers], form


def test_a_whole_number_that_a_floating_one_can_not_be_is_a_finding(spark):
    bad = ["cast:v"]
    texts = ["9007199254740992", "9007199254740993", "20240115083012345678", "0.1", "1e22", "-5.0"]
    assert values(spark, texts, Column(type="double")) == [
        "9.007199254740992E15", bad, bad, "0.1", "1.0E22", "-5.0",
    ]  # fmt: skip
    largest = ["9223372036854775807", "-9223372036854775808", "9223372036854775808"]
    for kind in ("double", "float"):
        found = values(spark, largest, Column(type=kind))
        assert [found[0], found[2]] == [bad, bad]
    assert values(spark, ["16777216", "16777217", "0.1"], Column(type="float")) == [
        "1.6777216E7", bad, "0.1",
    ]  # fmt: skip


def test_booleans_and_text(spark):
    texts = ["TRUE", "0", "maybe", "ye\u017f", "1.0", "on"]
    bad = ["cast:v"]
    assert values(spark, texts, Column(type="boolean")) == ["true", "false", bad, bad, bad, bad]
    assert values(spark, ["  a b ", "NA"], Column()) == ["a b", "NA"]
    assert values(spark, [" a", "NA ", ""], Column(trim=False)) == [" a", "NA ", None]
    assert values(spark, ["-", "NA"], Column(null_values=("-",))) == [None, "NA"]
    assert values(spark, [" 1", "1"], Column(type="int", trim=False)) == [bad, "1"]


def test_a_date_is_a_whole_one_and_has_no_time_of_day(spark):
    good = ["2013-01-31", "2024-02-29", "2013-01-31 00:00", "2013-01-31T00:00:00.000", "0001-01-01"]
    assert values(spark, good, Column(type="date")) == [text[:10] for text in good]
    bad = [
        "202401", "2024", "2024-01", "2024-01-01 garbage", "2024-1-1", "2024-02-30", "0000-01-01",
        "2024-01-01 10:00", "2024-01-01T00:00:00Z", "12024-01-01", "20240101", "\u0662024-01-01",
        "2024-01-01T", "-2024-01-01",
    ]  # fmt: skip
    assert values(spark, bad, Column(type="date")) == [["cast:v"]] * len(bad)


def test_a_timestamp_is_iso_and_never_of_today(spark):
    texts = [
        "2013-01-01T10:00:00Z", "2013-01-01 10:00", "2013-01-01T10:00:00+02:00",
        "2013-01-01 10:00:00 +0200", "2013-01-01 10:00:00.25 UTC", "2013-01-01",
        "2013-01-01 10:00:00.123456000",
    ]  # fmt: skip
    assert values(spark, texts, Column(type="timestamp")) == [
        "2013-01-01 10:00:00", "2013-01-01 10:00:00", "2013-01-01 08:00:00",
        "2013-01-01 08:00:00", "2013-01-01 10:00:00.25", "2013-01-01 00:00:00",
        "2013-01-01 10:00:00.123456",
    ]  # fmt: skip
    bad = [
        "10:00", "x", "2013", "201301", "2013-01-01 24:00", "2016-12-31T23:59:60Z",
        "2013-01-01 10:00:00.1234567", "2013-01-01 10:00 garbage", "2013-01-01 10:00:00 CET",
        "2013-01-01 10", "9999-12-31T23:59:59-18:00", "0001-01-01T00:00:00+18:00",
        "2013-01-01T10:00:00+99:00", "2013-02-29 10:00",
    ]  # fmt: skip
    assert values(spark, bad, Column(type="timestamp")) == [["cast:v"]] * len(bad)


NUMBERS = {
    "int": lambda text: oracle.whole(text, 32),
    "bigint": lambda text: oracle.whole(text, 64),
    "double": oracle.fraction,
    "float": lambda text: oracle.fraction(text, is_single=True),
    "decimal(10,2)": lambda text: oracle.decimal(text, 10, 2),
    "decimal(38,18)": lambda text: oracle.decimal(text, 38, 18),
}
TIMES = {"date": oracle.day, "timestamp": oracle.moment}


def test_of_any_text_a_value_comes_out_that_it_says_exactly_or_none(spark):
    for family, expected in (("number", NUMBERS), ("date", TIMES), ("timestamp", TIMES)):
        texts = [text for text in generated.texts(family, 1500) if text]
        columns = {kind: Column(type=kind, source="v", trim=False) for kind in expected}
        df = cast_columns(bronze(spark, [(text,) for text in texts], "v string"), columns)
        shown = [
            F.date_format(f"`{kind}`", "yyyy-MM-dd HH:mm:ss.SSSSSS").alias(kind)
            if kind == "timestamp"
            else F.col(f"`{kind}`").cast("string" if kind == "date" else kind).alias(kind)
            for kind in columns
        ]
        rows = df.orderBy("_order_row").select(*shown, "_reasons").collect()
        for text, row in zip(texts, rows, strict=True):
            for kind, says in expected.items():
                wanted, found = says(text), row[kind]
                if kind == "timestamp" and wanted is not None:
                    wanted = wanted.isoformat(sep=" ", timespec="microseconds")
                if kind == "date" and wanted is not None:
                    wanted = str(wanted)
                is_lenient = kind in ("double", "float", "decimal(10,2)", "decimal(38,18)")
                assert found == wanted or (found is None and is_lenient and len(text) > 15), (
                    f"{text!r} as {kind}: expected {wanted!r}, found {found!r}"
                )
                assert (f"cast:{kind}" in row["_reasons"]) == (found is None)


def test_the_table_in_the_docs_is_right(spark, project):
    page = (project / "docs" / "types.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([a-z(),0-9]+) \| `([^`]*)` \| ([^|`]*) \|$", page, re.MULTILINE)
    kinds = sorted({kind for kind, _, _ in lines})
    assert len(lines) > 40
    df = cast_columns(
        bronze(spark, [(text,) for _, text, _ in lines], "v string"),
        {kind: Column(type=kind, source="v") for kind in kinds},
    )
    texts = {kind: F.col(f"`{kind}`").cast("string").alias(kind) for kind in kinds}
    rows = df.orderBy("_order_row").select(*texts.values()).collect()
    found = [row[kind] or "finding" for row, (kind, _, _) in zip(rows, lines, strict=True)]
    assert [(*line[:2], one) for line, one in zip(lines, found, strict=True)] == lines


def test_the_table_of_formats_in_the_docs_is_right(spark, project):
    page = (project / "docs" / "types.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([a-z(),0-9]+) \| `(.*)` \| `(.*)` \| (.*) \|$", page, re.MULTILINE)
    assert len(found) > 10
    for kind, form, text, becomes in found:
        patterns = form if kind not in ("date", "timestamp") else tuple(form.split(", "))
        [value] = values(spark, [text], Column(type=kind, format=patterns))
        assert ("finding" if value == ["cast:v"] else value) == becomes, (kind, form, text)


def test_dates_and_times_by_pattern(spark):
    def read(texts, kind, pattern):
        return values(spark, texts, Column(type=kind, format=pattern))

    bad = ["cast:v"]
    assert read(["20130131", "20130231", "2013-01-31", "20130131x"], "date", "yyyyMMdd") == [
        "2013-01-31", bad, bad, bad,
    ]  # fmt: skip
    texts = ["31.01.2013 05:15", "31.01.2013 24:00", "31.01.13 05:15", "31.01.+12013 05:15"]
    assert read(texts, "timestamp", "dd.MM.yyyy HH:mm") == ["2013-01-31 05:15:00", bad, bad, bad]
    assert read(["1.2.2013", "01.02.2013", "1.2.13"], "date", "d.M.yyyy") == [
        "2013-02-01", "2013-02-01", bad,
    ]  # fmt: skip
    assert read(["2013-01-31 00:00", "2013-01-31 05:15"], "date", "yyyy-MM-dd HH:mm") == [
        "2013-01-31", bad,
    ]  # fmt: skip
    assert read(["1/2/13 5:15 PM"], "timestamp", "M/d/yy h:mm a") == ["2013-01-02 17:15:00"]


def test_of_several_patterns_each_value_takes_the_one_that_fits_and_none_where_two_differ(spark):
    def read(texts, kind, *patterns):
        return values(spark, texts, Column(type=kind, format=patterns))

    bad = ["cast:v"]
    assert read(["1.2.2013", "2013-02-01", "2/1/2013"], "date", "d.M.yyyy", "yyyy-MM-dd") == [
        "2013-02-01", "2013-02-01", bad,
    ]  # fmt: skip
    # The second could be the third of April or the fourth of March.
    assert read(["31/1/2013", "3/4/2013", "4/4/2013"], "date", "d/M/yyyy", "M/d/yyyy") == [
        "2013-01-31", bad, "2013-04-04",
    ]  # fmt: skip
    assert read(["31.1.2013 5:07", "31.1.2013"], "timestamp", "d.M.yyyy H:mm", "d.M.yyyy") == [
        "2013-01-31 05:07:00", "2013-01-31 00:00:00",
    ]  # fmt: skip


def test_a_local_time_is_of_the_zone_and_is_counted(spark):
    def read(texts, column, kind="string", zone="Europe/Berlin"):
        df = cast_columns(bronze(spark, [(t,) for t in texts], f"v {kind}"), {"v": column}, zone)
        rows = df.orderBy("_order_row").selectExpr("CAST(v AS string) v", "_zoned_v z").collect()
        return [(row["v"], row["z"]) for row in rows]

    texts = [
        "2024-03-31 01:59:59", "2024-03-31 02:30:00", "2024-03-31 03:00:00", "2024-07-01",
        "2024-10-27 01:59:59", "2024-10-27 02:00:00", "2024-10-27T02:59:59.5",
        "2024-10-27 03:00:00", "2024-10-27T02:30:00+01:00", "x",
    ]  # fmt: skip
    expected = [
        ("2024-03-31 00:59:59", 1), (None, 1), ("2024-03-31 01:00:00", 1),
        ("2024-06-30 22:00:00", 1), ("2024-10-26 23:59:59", 1), ("2024-10-27 00:00:00", 2),
        ("2024-10-27 00:59:59.5", 2), ("2024-10-27 02:00:00", 1), ("2024-10-27 01:30:00", None),
        (None, None),
    ]  # fmt: skip
    assert read(texts, Column(type="timestamp")) == expected
    by_format = Column(type="timestamp", format="dd.MM.yyyy HH:mm")
    assert read(["27.10.2024 02:30", "31.03.2024 02:30"], by_format) == [
        ("2024-10-27 00:30:00", 2), (None, 1),
    ]  # fmt: skip
    with_offset = Column(type="timestamp", format="dd.MM.yyyy HH:mm XXX")
    assert read(["27.10.2024 02:30 +02:00"], with_offset) == [("2024-10-27 00:30:00", None)]
    half_hour = read(["2024-04-07 01:45:00"], Column(type="timestamp"), zone="Australia/Lord_Howe")
    assert half_hour == [("2024-04-06 14:45:00", 2)]
    noon = dt.datetime(2024, 7, 1, 12)
    assert read([noon], Column(type="timestamp"), "timestamp_ntz") == [("2024-07-01 10:00:00", 1)]
    day = dt.date(2024, 7, 1)
    assert read([day], Column(type="timestamp"), "date") == [("2024-06-30 22:00:00", 1)]
    assert read(["2024-07-01 12:00"], Column(type="timestamp"), zone="UTC") == [
        ("2024-07-01 12:00:00", 1)
    ]


def test_a_pattern_that_spark_does_not_know_is_refused(spark):
    with pytest.raises(SettingsError, match=r"column 'v': `format: yyyy-\{\{` is no date pattern"):
        values(spark, ["1"], Column(type="date", format="yyyy-{{"))


def test_a_failed_cast_may_be_a_missing_value_instead(spark):
    assert values(spark, ["x", "1"], Column(type="int", on_cast_error="null")) == [None, "1"]


TYPED = [  # what bronze holds, the declared type, values, what they become (None: a finding)
    ("double", "double", [1.5, float("inf")], ["1.5", None]),
    ("double", "int", [3.7, 3.0, 3e9, -0.0], [None, "3", None, "0"]),
    ("double", "float", [0.5, 0.1, 1e300], ["0.5", None, None]),
    ("double", "decimal(10,2)", [1.005, 0.1, 12.34], [None, "0.10", "12.34"]),
    ("bigint", "int", [7, 3_000_000_000], ["7", None]),
    ("bigint", "double", [2**53, 2**53 + 1], ["9.007199254740992E15", None]),
    ("bigint", "timestamp", [1_700_000_000, 1_700_000_000_000, 157_766_400_000],
     ["2023-11-14 22:13:20", None, None]),
    ("double", "timestamp", [1_700_000_000.5, 1e12], ["2023-11-14 22:13:20.5", None]),
    ("bigint", "string", [7], ["7"]),
    ("int", "boolean", [1, 0, 5], ["true", "false", None]),
    # The largest whole numbers: Spark's casts there and back agree, and each is another number.
    ("double", "bigint", [2.0**63, -(2.0**63), 2.0**62], [None, str(-(2**63)), str(2**62)]),
    ("float", "bigint", [2.0**63], [None]),
    ("bigint", "double", [2**63 - 1, 2**60], [None, "1.15292150460684698E18"]),
    ("bigint", "float", [2**63 - 1, 2**60], [None, "1.1529215E18"]),
    ("int", "float", [2**31 - 1, 2**30], [None, "1.07374182E9"]),
    ("float", "int", [2.0**31, 2.0**30], [None, "1073741824"]),
    ("double", "decimal(38,0)", [2.0**60, 2.0**52, 2.0**63, 3.0], [None, str(2**52), None, "3"]),
    ("decimal(20,0)", "double", [Decimal(2**53), Decimal(9223372036854776000)],
     ["9.007199254740992E15", None]),
    ("boolean", "int", [True], ["1"]),
    ("decimal(10,2)", "decimal(10,1)", [Decimal("1.50"), Decimal("1.55")], ["1.5", None]),
    ("decimal(10,2)", "int", [Decimal("3.00"), Decimal("3.01")], ["3", None]),
    ("decimal(10,2)", "double", [Decimal("0.10")], ["0.1"]),
    ("binary", "string", [b"caf\xc3\xa9", b"\xff\xfe"], ["caf\u00e9", None]),
    ("timestamp_ntz", "date", [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 10)],
     ["2024-01-01", None]),
    ("array<int>", "array<bigint>", [[1, 2]], ["[1, 2]"]),
    ("map<string,int>", "map<string,int>", [{"a": 1}], ["{a -> 1}"]),
]  # fmt: skip


def test_a_typed_value_is_cast_if_it_can_be_cast_back(spark):
    for found, kind, given, expected in TYPED:
        wanted = [["cast:v"] if one is None else one for one in expected]
        assert values(spark, given, Column(type=kind), found) == wanted, f"{found} as {kind}"


def test_a_typed_column_knows_missing_values_and_a_type_that_it_can_not_become(spark):
    assert values(spark, [1.5, float("nan")], Column(type="double"), "double") == ["1.5", None]
    assert values(spark, [7, -999], Column(type="int", null_values=("-999",)), "bigint") == [
        "7", None,
    ]  # fmt: skip
    said = Column(type="double", null_values=("-999", "-1.50"))
    assert values(spark, [-999.0, 1.5], said, "double") == [None, "1.5"]
    cents = [Decimal("-1.5"), Decimal("-999.00"), Decimal("-999.01")]
    assert values(spark, cents, said, "decimal(10,2)") == [None, None, "-999.01"]
    never = Column(type="timestamp", null_values=("9999-12-31",))
    moments = [dt.datetime(9999, 12, 31), dt.datetime(2024, 1, 1)]
    assert values(spark, moments, never, "timestamp_ntz") == [None, "2024-01-01 00:00:00"]
    for kind in ("int", "string"):
        said = rf"bronze holds array<int>, which can't become {kind} with nothing lost. Declare it"
        with pytest.raises(SettingsError, match=said):
            values(spark, [[1]], Column(type=kind), "array<int>")


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
