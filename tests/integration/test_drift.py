"""Landing files whose columns change from one delivery to the next."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.errors import SchemaDrift, SchemaError
from tests.integration.test_ingest import Place, write_parquet

pytestmark = pytest.mark.spark


def source(path: str, drift: str, *columns: str) -> Source:
    form = path.split("_")[0]
    return Source(path=path, format=form, columns=columns or ("a", "b"), schema_drift=drift)


@pytest.fixture
def place(spark, tmp_path):
    return Place(spark, tmp_path)


def test_new_columns_are_added_or_left_out_and_missing_ones_are_null(place, caplog):
    names = ("csv_add", "csv_ignore", "json_ignore", "parquet_add")
    place.sources = {name: source(name, name.split("_")[1]) for name in names}
    place.put("csv_add/1.csv", "a,b\n1,x\n")
    place.put("csv_ignore/1.csv", "a,b\n1,x\n")
    place.put("json_ignore/1.json", '{"a":1,"b":"x"}')
    write_parquet(place.landing / "parquet_add/1.parquet", a=[1], b=["x"])
    place.ingest()
    before = {name: place.rows(name, "a", "b", "_source_file", "_row") for name in names}
    assert all(rows[0][:2] in ((1, "x"), ("1", "x")) for rows in before.values())

    place.put("csv_add/2.csv", "c,b\nnew,y\nmore,z\n")
    place.put("csv_add/3.csv", "b,a\norder,3\n")
    place.put("csv_ignore/2.csv", "c,b\nnew,y\nmore,z\n")
    place.put("json_ignore/2.json", '{"b":"y","c":"new"}\n{"b":"z","c":"more"}')
    write_parquet(place.landing / "parquet_add/2.parquet", c=[7, 8], b=["y", "z"])
    write_parquet(place.landing / "parquet_add/3.parquet", a=["text"], b=["z"])
    outcomes = place.ingest()
    for name, rows in before.items():
        has = place.rows(name, "a", "b", "_source_file", "_row")
        assert set(rows) < set(has), "what was there is there as it was"
        assert ("c" in place.table(name).columns) == name.endswith("add")
        late = {row[:2] for row in has if "/2." in row[2]}
        assert late == {(None, "y"), (None, "z")}
    assert sorted(map(str, place.rows("parquet_add", "c"))) == ["(7,)", "(8,)", "(None,)"]
    added = place.rows("csv_add", "a", "b", "c")
    assert {("1", "x", None), (None, "y", "new"), ("3", "order", None)} < set(added)
    said = "csv_ignore/2.csv has other columns: no 'a', null in its rows; 'c' left out"
    assert said in caplog.text
    assert outcomes["csv_add"].drifted == {
        "csv_add/2.csv": "no 'a', null in its rows; 'c' taken into the table"
    }
    assert outcomes["parquet_add"].rejected == {
        "parquet_add/3.parquet": "types differ from the table's: 'a' is string, expected bigint"
    }


def test_columns_alike_but_for_capital_letters_are_put_aside_and_the_next_run_goes_on(place):
    place.sources = {"csv_add": source("csv_add", "add")}
    place.put("csv_add/1.csv", "a,b,c\n1,x,new\n")
    place.put("csv_add/2.csv", "a,b,C\n2,y,other\n")
    place.ingest()
    place.put("csv_add/3.csv", "a,b,C,d\n3,z,other,4\n")
    place.put("csv_add/4.csv", "a,b,d\n4,z,5\n")
    outcomes = place.ingest()
    reason = "columns differ from those declared: not in the table's letters 'C'"
    assert outcomes["csv_add"].rejected == {"csv_add/3.csv": reason}
    assert sorted(place.rows("csv_add", "a", "c", "d"), key=str) == [
        ("1", "new", None),
        ("4", None, "5"),
    ]


def test_parquet_columns_alike_but_for_capital_letters_are_put_aside(place):
    place.sources = {"parquet_add": source("parquet_add", "add")}
    write_parquet(place.landing / "parquet_add/1.parquet", a=[1], b=["x"], c=[5])
    write_parquet(place.landing / "parquet_add/2.parquet", a=[2], b=["y"], C=["text"])
    place.ingest()
    write_parquet(place.landing / "parquet_add/3.parquet", a=[3], b=["z"], C=[7])
    write_parquet(place.landing / "parquet_add/4.parquet", a=[4], b=["z"], Reasons=[7])
    outcomes = place.ingest()
    assert sorted(outcomes["parquet_add"].rejected) == [
        f"parquet_add/{number}.parquet" for number in (3, 4)
    ]
    assert place.rows("parquet_add", "a", "c") == [(1, 5)]


def test_where_drift_fails_nothing_is_written_until_it_is_mended_or_allowed(place):
    place.sources = {"csv_x": source("csv_x", "fail"), "parquet_x": source("parquet_x", "fail")}
    place.put("csv_x/1.csv", "a,b\n1,x\n")
    write_parquet(place.landing / "parquet_x/1.parquet", a=[1], b=["x"])
    place.ingest()
    versions = place.versions()
    place.put("csv_x/2.csv", "a,b\n2,y\n")
    place.put("csv_x/3.csv", "a,b,c\n3,z,new\n")
    with pytest.raises(SchemaDrift, match=r"csv_x/3.csv: .* not declared 'c'. Expected .*'a', 'b'"):
        place.ingest()
    (place.landing / "csv_x/3.csv").unlink()
    write_parquet(place.landing / "parquet_x/2.parquet", a=[1.5], b=["x"])
    with pytest.raises(SchemaDrift, match="'a' is double, expected bigint"):
        place.ingest()
    assert place.versions() == versions

    place.put("csv_x/3.csv", "a,b,c\n3,z,new\n")
    (place.landing / "parquet_x/2.parquet").unlink()
    place.sources["csv_x"] = source("csv_x", "fail", "a", "b", "c")
    with pytest.raises(
        SchemaError, match=r"only the settings have \['c'\].*schema_drift` to `add`"
    ):
        place.ingest()
    place.sources["csv_x"] = source("csv_x", "add", "a", "b", "c")
    place.ingest()
    assert place.rows("csv_x", "a", "c") == [("1", None), ("2", None), ("3", "new")]
