"""Raw values become arrays as they are, or an error names row, column and value."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.errors import PredictionError
from pipelines.serving.columns import RawColumn, by_column, encode


def encoded(raw_type, values):
    return encode({"x": values}, [RawColumn("x", raw_type)])["x"].tolist()


@pytest.mark.parametrize(
    ("raw_type", "values", "arrays"),
    [
        ("double", [1, 2.5, Decimal("3.25"), True, np.float32(0.5)], [1, 2.5, 3.25, 1, 0.5]),
        ("decimal(10,2)", [Decimal("1.10"), math.inf], [1.1, math.inf]),
        ("float", [0.1], [float(np.float32(0.1))]),
        ("bigint", [2**53, -3, 4.0], [2.0**53, -3, 4]),
        ("boolean", [True, 0, np.bool_(True)], [1, 0, 1]),
        ("string", ["ä", "missing", ""], ["ä".encode(), b"missing", b""]),
        ("date", [dt.date(2013, 3, 10), "2013-03-10", pd.Timestamp("2013-03-10")],
         [b"2013-03-10"] * 3),
        ("binary", [b"\x00\xff", bytearray(b"x")], [b"\x00\xff", b"x"]),
    ],
)  # fmt: skip
def test_values_of_a_type_come_through(raw_type, values, arrays):
    assert encoded(raw_type, values) == arrays


@pytest.mark.parametrize("null", [None, math.nan, np.float64("nan"), pd.NA, pd.NaT])
def test_every_null_is_one(null):
    assert math.isnan(encoded("double", [null])[0])
    assert math.isnan(encoded("int", [null])[0])
    for raw_type in ("string", "date", "binary"):
        assert encoded(raw_type, [null]) == [b""]


@pytest.mark.parametrize(
    ("raw_type", "value"),
    [
        ("double", "1.5"), ("double", [1.0]), ("int", 1.5), ("int", math.inf), ("int", "1"),
        ("boolean", 2), ("boolean", "true"), ("string", 1), ("string", b"x"), ("string", True),
        ("date", "10.03.2013"), ("date", "20130310"), ("date", "2013-02-30"), ("date", 15),
        ("date", dt.datetime(2013, 3, 10, 1)), ("binary", "text"), ("array<int>", 3),
        ("array<int>", [1, 2.5]), ("array<string>", "abc"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named_with_its_row(raw_type, value):
    good = {"array<int>": [1], "array<string>": ["a"]}.get(raw_type)
    with pytest.raises(PredictionError, match=r"^row 1, column 'x': .* expected ") as error:
        encoded(raw_type, [good, value])
    assert RawColumn("x", raw_type).expected in str(error.value)


def test_whole_numbers_of_an_array_are_looked_at_too():
    with pytest.raises(PredictionError, match=r"row 1, column 'x': 2\.5"):
        encoded("int", np.array([1.0, 2.5]))


def test_lists_are_padded_and_say_how_long_they_are():
    found = encode({"x": [[1, None], None, []]}, [RawColumn("x", "array<double>")])
    assert found["x_length"].tolist() == [2, 0, 0]
    assert found["x"].shape == (3, 2)
    assert found["x"][0, 0] == 1
    assert math.isnan(found["x"][0, 1])


def test_mappings_rows_pandas_and_arrow_give_the_same_columns():
    wanted = [RawColumn("a", "int"), RawColumn("b", "string")]
    rows = [{"a": 1, "b": "x", "more": 0}, {"a": None, "b": None, "more": 0}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    frames = [rows, columns, pd.DataFrame(rows), pa.Table.from_pylist(rows), tuple(rows)]
    for data in frames:
        found, num_rows = by_column(data, wanted)
        assert num_rows == 2
        assert encode(found, wanted)["b"].tolist() == [b"x", b""]
        assert str(encode(found, wanted)["a"].tolist()) == "[1.0, nan]"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"aa": [1]}, "column 'a' is missing. Did you mean 'aa'?"),
        ([{"a": 1}, {"A": 1}], "row 1: column 'a' is missing"),
        ([{"a": 1}, 7], "row 1 is a int; expected a mapping"),
        ({"a": "text"}, "column 'a' is 'text'; expected a list"),
        ({"a": [1, 2], "b": [1]}, "columns are of different length: {'a': 2, 'b': 1}"),
    ],
)
def test_what_is_no_table_of_the_columns_is_told(data, message):
    wanted = [RawColumn("a", "int")] + [RawColumn("b", "int")] * ("b" in data)
    with pytest.raises(PredictionError) as error:
        by_column(data, wanted)
    assert message in str(error.value)
