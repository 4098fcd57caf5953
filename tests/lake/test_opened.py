"""An opened lake reads the versions that were resolved, and refuses all else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import NotResolved
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.opened import OpenedLake
from tests.lake.logs import PROTOCOL, add, column, commit, metadata


@pytest.fixture
def opened(lake: Lake) -> OpenedLake:
    place = Path(lake.path("gold.t"))
    one = add("one.parquet", {"numRecords": 1})
    commit(place, 0, PROTOCOL, metadata(column("x", "float")), one)
    commit(place, 1, add("two.parquet", {"numRecords": 2}))
    return OpenedLake(None, lake, {"gold.t": 0})  # type: ignore[arg-type]


def test_it_reads_the_version_that_was_resolved_though_there_is_a_newer_one(opened):
    assert opened.snapshot("gold.t").num_rows == 1
    assert opened.version(Table("gold", "t")) == 0
    assert opened.named("gold.t") == "gold.t@0"


def test_a_table_that_was_not_resolved_is_refused_with_those_that_were(opened):
    assert "gold.other" not in opened
    for read in (opened.version, opened.read, opened.snapshot, opened.named):
        with pytest.raises(NotResolved, match=r"gold.other is read, .*those of gold.t were"):
            read("gold.other")
    nothing = OpenedLake(None, opened.lake, {})  # type: ignore[arg-type]
    with pytest.raises(NotResolved, match="those of no table were"):
        nothing.read("gold.t")
