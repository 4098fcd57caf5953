"""CSV files of any header and dialect become tables, with the header's names kept beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

    for name in ("odd", "open"):
        (tmp_path / "landing" / name).mkdir(parents=True)
    with (tmp_path / "landing/odd/x.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, [str(at) for at in range(len(HEADER))]])
    (tmp_path / "landing/open/x.csv").write_bytes(b'id,note\n1,"one\ntwo"\n2,"open\n3,x\n')
    lake = Lake(str(tmp_path / "lake"))
    sources = {
        "odd": Source(path="odd", columns=COLUMNS, headers={"revenue": "Umsatz in \u20ac"}),
        "open": Source(path="open", columns=("id", "note")),
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
