"""What comes in as Parquet, and what it becomes."""

from __future__ import annotations

import datetime as dt
import os
import random
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from tests.integration.test_ingest import T0, Place

pytestmark = pytest.mark.spark


@pytest.fixture
def place(spark, tmp_path) -> Place:
    return Place(spark, tmp_path, {})


def put(place: Place, name: str, table: pa.Table, **options) -> None:
    file = place.landing / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, **options)
    os.utime(file, (T0, T0))


def source(path: str, *columns: str, drift: str = "aside") -> Source:
    return Source(path=path, format="parquet", columns=columns, schema_drift=drift)


def test_a_column_of_nulls_alone_has_no_type_until_a_file_has_one(place):
    place.sources = {name: source(name, "a", "b") for name in ("untyped", "typed", "later")}
    put(place, "untyped/1.parquet", pa.table({"a": [1], "b": pa.nulls(1)}))
    put(place, "untyped/2.parquet", pa.table({"a": [2], "b": ["text"]}))
    put(place, "typed/1.parquet", pa.table({"a": [1], "b": pa.array([None], pa.float64())}))
    put(place, "typed/2.parquet", pa.table({"a": [2], "b": [7]}))
    put(place, "later/1.parquet", pa.table({"a": [1], "b": pa.nulls(1)}))
    put(place, "later/2.parquet", pa.table({"a": pa.array([], pa.string()), "b": pa.nulls(0)}))
    outcomes = place.ingest()
    assert all(outcome.rejected == {} for outcome in outcomes.values())
    assert place.rows("untyped", "a", "b") == [(1, None), (2, "text")]
    assert place.rows("typed", "a", "b") == [(1, None), (2, 7)]
    assert "b" not in place.table("later").columns

    day = dt.datetime(2024, 1, 1)
    put(place, "later/3.parquet", pa.table({"a": [3], "b": [day]}))
    put(place, "later/4.parquet", pa.table({"a": pa.nulls(1), "b": pa.array([None], pa.int8())}))
    put(place, "later/5.parquet", pa.table({"a": [5], "b": ["text"]}))
    assert place.ingest()["later"].rejected == {
        "later/5.parquet": "types differ from the table's: 'b' is string, expected timestamp_ntz"
    }
    rows = [(1, None), (3, day), (None, None)]
    assert place.rows("later", "a", "b") == rows


def test_a_decimal_of_more_digits_than_a_table_has_puts_its_file_aside(place):
    place.sources = {"wide": source("wide", "a")}
    put(place, "wide/1.parquet", pa.table({"a": pa.array([Decimal(1)], pa.decimal256(60, 3))}))
    put(place, "wide/2.parquet", pa.table({"a": pa.array([Decimal(1)], pa.decimal128(38, 3))}))
    assert place.ingest()["wide"].rejected == {
        "wide/1.parquet": "a type that can't be read: Decimal precision 60 exceeds max precision 38"
    }
    assert place.rows("wide", "a") == [(Decimal("1.000"),)]


def test_old_times_that_spark_would_cut_put_their_file_aside(place):
    place.sources = {"old": source("old", "at", "nested")}
    far = [dt.datetime(1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), None]
    far = pa.array([*far, dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)], pa.timestamp("us"))
    whole = pa.array([0, 1_711_852_200_123_456_000, -1000, None], pa.timestamp("ns"))
    nested = pa.array([[one] for one in whole.to_pylist()], pa.list_(pa.timestamp("ns")))
    old = {"use_deprecated_int96_timestamps": True}
    put(place, "old/1.parquet", pa.table({"at": far, "nested": nested}), **old)
    put(place, "old/2.parquet", pa.table({"at": whole, "nested": nested}), **old)
    bad = pa.array([0, 1_711_852_200_123_456_789], pa.timestamp("ns"))
    put(place, "old/3.parquet", pa.table({"at": bad, "nested": nested[:2]}), **old)
    lists = pa.array([[0, None, -1], []], pa.list_(pa.timestamp("ns")))
    put(place, "old/4.parquet", pa.table({"at": whole[:2], "nested": lists}), **old)
    outcome = place.ingest()["old"]
    assert {path: why.partition(" has ")[0] for path, why in outcome.rejected.items()} == {
        "old/3.parquet": "'at'",
        "old/4.parquet": "'nested'",
    }
    table = place.table("old").selectExpr("unix_micros(at)", "unix_micros(nested[0])")
    expected = [
        *zip(far.cast(pa.int64()).to_pylist(), _micros(whole), strict=True),
        *zip(_micros(whole), _micros(whole), strict=True),
    ]
    assert sorted(map(tuple, table.collect()), key=str) == sorted(expected, key=str)


def _micros(times: pa.Array) -> list[int | None]:
    return [None if one is None else one // 1000 for one in times.cast(pa.int64()).to_pylist()]


def test_nanoseconds_are_read_and_what_a_microsecond_loses_is_put_aside(place):
    place.sources = {"pandas": source("pandas", "local", "utc", "n")}
    at = pd.to_datetime(["2024-03-31 02:30:00.123456", "1677-09-21 00:12:43.145225", None])
    frame = pd.DataFrame({"local": at, "utc": at.tz_localize("UTC"), "n": [1, 2, 3]})
    folder = place.landing / "pandas"
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "1.parquet")
    frame.assign(local=at[:1].append(at[:2]) + pd.Timedelta(1, "ns")).iloc[:2].to_parquet(
        folder / "2.parquet"
    )
    frame.to_parquet(folder / "3.parquet", coerce_timestamps="us")
    outcome = place.ingest()["pandas"]
    assert (outcome.rejected, outcome.rows, outcome.malformed) == ({}, 6, 2)
    rows = [
        ("2024-03-31 02:30:00.123456", "2024-03-31 02:30:00.123456", 1),
        ("1677-09-21 00:12:43.145225", "1677-09-21 00:12:43.145225", 2),
        (None, None, 3),
    ]
    found = place.rows("pandas", "string(local)", "string(utc)", "n")
    assert found == sorted(rows * 2, key=str)
    types = dict(place.table("pandas").dtypes)
    assert (types["local"], types["utc"]) == ("timestamp_ntz", "timestamp")
    lost = place.rows("pandas_rejected", "reason", "raw")
    assert {reason for reason, _ in lost} == {
        "'local' has nanoseconds, of which a table keeps microseconds"
    }
    raw = '{"local":1711852200123456001,"utc":1711852200123456000,"n":1}'
    assert raw in {raw for _, raw in lost}


def test_types_that_other_writers_have(place):
    columns = {
        "u8": pa.array([255], pa.uint8()),
        "u32": pa.array([2**32 - 1], pa.uint32()),
        "u64": pa.array([2**64 - 1], pa.uint64()),
        "small": pa.array([Decimal("1.10")], pa.decimal128(5, 2)),
        "wide": pa.array([Decimal("12345678901234567890.123")], pa.decimal128(38, 3)),
        "category": pa.array(["x"]).dictionary_encode(),
        "struct": pa.array([{"a": 1, "b": ["x", None]}]),
        "map": pa.array([[("k", 1), ("l", None)]], pa.map_(pa.string(), pa.int64())),
        "day": pa.array([dt.date(1500, 2, 28)]),
        "bytes": pa.array([b"\x00\xff"]),
    }
    names = list(columns)
    place.sources = {
        "types": source("types", *names),
        "old": source("old", "at"),
        **{f"t{n}": source(f"t{n}", "a") for n in range(3)},
    }
    put(place, "types/1.parquet", pa.table(columns))
    old = pa.table({"at": pa.array([dt.datetime(2024, 1, 1, 12)])})
    put(place, "old/1.parquet", old, use_deprecated_int96_timestamps=True)
    put(place, "t0/1.parquet", pa.table({"a": pa.array([dt.time(12)])}))
    put(place, "t1/1.parquet", pa.table({"a": pa.array([[None]])}))
    nested = pa.array([[dt.datetime(2024, 1, 1)]], pa.list_(pa.timestamp("ns")))
    put(place, "t2/1.parquet", pa.table({"a": nested}))
    frame = pd.DataFrame({"a": [1, 2]})
    frame[frame.a > 1].to_parquet(place.landing / "t2/2.parquet")
    outcomes = place.ingest()
    (row,) = place.table("types").select(*names).collect()
    assert row.asDict(recursive=True) == {
        "u8": 255,
        "u32": 2**32 - 1,
        "u64": Decimal(2**64 - 1),
        "small": Decimal("1.10"),
        "wide": Decimal("12345678901234567890.123"),
        "category": "x",
        "struct": {"a": 1, "b": ["x", None]},
        "map": {"k": 1, "l": None},
        "day": dt.date(1500, 2, 28),
        "bytes": b"\x00\xff",
    }
    assert place.rows("old", "string(at)") == [("2024-01-01 12:00:00",)]
    reasons = [outcomes[f"t{n}"].rejected.get(f"t{n}/1.parquet", "") for n in range(3)]
    assert reasons[0].startswith("a type that can't be read: ")
    assert "TIME" in reasons[0]
    assert reasons[1:] == [
        "types differ from the table's: 'a' has lists of nothing but nulls, "
        "whose type is not known yet",
        "nanoseconds inside a nested value can't be read: 'a'",
    ]
    assert place.rows("t2", "a", "_source_file") == [(2, "t2/2.parquet")]
    assert outcomes["t2"].drifted == {"t2/2.parquet": "row labels of pandas left out"}


def test_whatever_a_footer_says_its_file_alone_is_put_aside(place):
    """A byte of each is another one: no checksum tells, and libraries differ in what they take."""
    whole = place.landing / "whole.parquet"
    table = pa.table({"a": list(range(9)), "b": [f"text {n}" for n in range(9)]})
    put(place, "whole.parquet", table)
    content = whole.read_bytes()
    whole.unlink()
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    dice = random.Random(7)
    place.sources = {"bent": source("bent", "a", "b")}
    (place.landing / "bent").mkdir()
    bent = {0: content}
    for number in range(1, 40):
        changed = bytearray(content)
        changed[dice.randrange(begin, len(content) - 8)] = dice.randrange(256)
        bent[number] = bytes(changed)
    for number, one in bent.items():
        place.put(f"bent/{number:02}.parquet", one)

    outcome = place.ingest()["bent"]
    assert outcome.rejected
    assert "bent/00.parquet" not in outcome.rejected
    assert outcome.files == len(bent)
    rows = place.table("bent").groupBy("_source_file").count().collect()
    assert not {row["_source_file"] for row in rows} & set(outcome.rejected)
    assert sum(row["count"] for row in rows) == outcome.rows == outcome.records
    assert place.ingest()["bent"].files == 0


def test_lists_whose_lengths_are_damaged_put_their_file_aside(place):
    """A bit of each byte of the lengths: whoever reads them makes other lists, without a word."""
    lists = [[1, 2], [3], [], [4, 5, 6], None, [7], [8, 9]]
    nested = [[[1], []], [[2, 3]], [], None, [[4], [5, 6]], [[7]], [None]]
    maps = [[("a", 1), ("b", 2)], [], None, [("c", None)], [("d", 4)], [("e", 5)], [("f", 6)]]
    structs = [[{"n": 1, "t": [1, 2]}], [], None, [{"n": 2, "t": None}], [None], [], []]
    table = pa.table(
        {
            "lists": pa.array(lists, pa.list_(pa.int32())),
            "nested": pa.array(nested, pa.list_(pa.list_(pa.int32()))),
            "maps": pa.array(maps, pa.map_(pa.string(), pa.int32())),
            "structs": pa.array(
                structs, pa.list_(pa.struct({"n": pa.int32(), "t": pa.list_(pa.int32())}))
            ),
        }
    )
    options = {"compression": "none", "use_dictionary": False}
    place.sources = {"whole": source("whole", *table.column_names)}
    put(place, "whole/0.parquet", table, **options)
    assert place.ingest()["whole"].rejected == {}
    whole = [row.asDict(recursive=True) for row in place.table("whole").orderBy("_row").collect()]
    assert [row["lists"] for row in whole] == lists
    assert [row["nested"] for row in whole] == nested
    assert [row["maps"] for row in whole] == [one if one is None else dict(one) for one in maps]
    assert [row["structs"] for row in whole] == structs

    # Only lists of numbers: behind the header of its one page come the lengths' levels.
    lists = pa.table({"x": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int32()))})
    place.sources = {"bent": source("bent", "x")}
    put(place, "bent/whole.parquet", lists, **options)
    content = (place.landing / "bent/whole.parquet").read_bytes()
    data = pq.ParquetFile(place.landing / "bent/whole.parquet").metadata.row_group(0).column(0)
    last = data.data_page_offset + data.total_compressed_size - 8 * 4
    for at in range(last - 16, last):
        bent = bytearray(content)
        bent[at] ^= 2
        place.put(f"bent/{at}.parquet", bytes(bent))
    outcome = place.ingest()["bent"]
    assert "bent/whole.parquet" not in outcome.rejected
    assert any("its footer counts 8 values of 'x'" in one for one in outcome.rejected.values())
    rows = place.table("bent").groupBy("_source_file").agg(F.sum(F.size("x")).alias("n")).collect()
    assert {row["n"] for row in rows} == {8}, "a list may be another one, but no value is lost"
