"""Files of any names of columns become tables, with the names of the files kept beside."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.source import ingest_sources
from pipelines.lake.catalog import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

HEADER = (
    *("id", "a.b", "Umsatz in \u20ac", "Alter (Jahre)", "\U0001f600", "x=1; y", "_id"),
    *("", "id", "ID", 'say "hi"', "tab\there", "line\nbreak", "reasons", "#1/2-3%"),
)
COLUMNS = (
    *("id", "a.b", "revenue", "Alter_Jahre", "\U0001f600", "x_1_y", "x_id"),
    *("column_8", "id_2", "ID_3", 'say_"hi"', "tab_here", "line_break", "x_reasons", "#1/2-3%"),
)


def test_any_header_is_read_and_its_names_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    import csv
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("odd", "open", "json", "parquet"):
        (tmp_path / "landing" / name).mkdir(parents=True)
    with (tmp_path / "landing/odd/x.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, [str(at) for at in range(len(HEADER))]])
    (tmp_path / "landing/open/x.csv").write_bytes(b'id,note\n1,"one\ntwo"\n2,"open\n3,x\n')
    keys = "Umsatz in \u20ac", "Alter (Jahre)"
    line = json.dumps(dict(zip(keys, ("1.50", None), strict=True)))
    (tmp_path / "landing/json/x.json").write_text(line, encoding="utf-8")
    columns = [pa.array([1, 2]), pa.array([1000, 2000], pa.timestamp("ns"))]
    parquet = tmp_path / "landing/parquet/x.parquet"
    pq.write_table(pa.table(dict(zip(keys, columns, strict=True))), parquet)
    lake = Lake(str(tmp_path / "lake"))
    sources = {
        "odd": Source(path="odd", columns=COLUMNS, headers={"revenue": "Umsatz in \u20ac"}),
        "open": Source(path="open", columns=("id", "note")),
        "json": Source(path="json", format="json", columns=keys),
        "parquet": Source(
            path="parquet",
            format="parquet",
            columns=("revenue", keys[1]),
            headers={"revenue": keys[0]},
        ),
    }
    outcomes = ingest_sources(spark, lake, "toy", str(tmp_path / "landing"), sources)
    assert (outcomes["odd"].rows, outcomes["odd"].rejected) == (1, {})
    table = spark.read.format("delta").load(lake.path("bronze.odd"))
    row = table.collect()[0]
    assert [row[name] for name in COLUMNS] == [str(at) for at in range(len(HEADER))]
    assert table.schema["revenue"].metadata["comment"] == "Umsatz in \u20ac"
    assert (outcomes["open"].records, outcomes["open"].malformed) == (2, 1)
    rejected = spark.read.format("delta").load(lake.path("bronze.open_rejected"))
    assert [tuple(row) for row in rejected.select("reason", "raw").collect()] == [
        ("the quote that opens in line 4 is never closed", '2,"open\n3,x\n')
    ]
    assert rows(spark, lake, "json", "Umsatz_in_\u20ac", "Alter_Jahre") == [("1.50", None)]
    times = [dt.datetime(1970, 1, 1, 0, 0, 0, micros) for micros in (1, 2)]
    assert rows(spark, lake, "parquet", "revenue", "Alter_Jahre") == [(1, times[0]), (2, times[1])]


def rows(spark: SparkSession, lake: Lake, name: str, *columns: str) -> list[tuple[Any, ...]]:
    table = spark.read.format("delta").load(lake.path(f"bronze.{name}"))
    return sorted(map(tuple, table.select(*(f"`{column}`" for column in columns)).collect()))
