"""A run reads the versions that it resolved, its own tables as they stand, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import NotResolved
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.opened import OpenedLake, Standing
from pipelines.lake.write import replace_slice
from tests.house import found_in_package
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


def test_what_a_stage_does_not_write_is_refused_as_it_stands(lake):
    standing = Standing(None, lake, (Table("gold", "t"),))  # type: ignore[arg-type]
    for ask in (standing.version, standing.versions, standing.read):
        with pytest.raises(NotResolved, match=r"gold.other .* does not write it; it writes gold.t"):
            ask("gold.other")


def test_what_a_stage_writes_is_read_as_the_last_write_left_it(spark, lake):
    table = Table("gold", "t")
    standing = Standing(spark, lake, (table,))
    assert standing.read(table) is None
    assert standing.versions(table) == {}
    for rows in (1, 2):
        replace_slice(spark.range(rows), lake, table, "true")
        read = standing.read("gold.t")
        assert read is not None
        assert read.count() == rows
    assert standing.versions(table) == {"gold.t": standing.version(table)}


def newest_asked_for(code: str) -> Iterator[str]:
    """Yield the functions that ask for a newest version and are not those that look up."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and not node.name.lstrip("_").startswith("look"):
            inner = [one for one in ast.walk(node) if isinstance(one, ast.FunctionDef)]
            looked = {id(part) for one in inner if one is not node for part in ast.walk(one)}
            calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
            asked = [ast.unparse(one.func) for one in calls if id(one) not in looked]
            yield from [node.name for name in asked if name.endswith("latest_version")]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def run(run): latest_version(spark, lake, table)", ["run"]),
        ("def _look(run): latest_version(spark, lake, table)", []),
        ("def run(run):\n  def look(): latest_version(spark, lake, table)\n  look()", []),
        ("def run(run):\n  def get(): read.latest_version(s, l, t)\n  get()", ["get"]),
    ],
)
def test_a_newest_version_is_seen(code, found):
    assert list(newest_asked_for(code)) == found


def test_the_rooms_of_the_stages_ask_for_what_is_newest_only_where_a_run_looks_up():
    rooms = ("stages", "cleaning", "features", "training", "registry", "scoring", "monitoring")
    found = found_in_package(newest_asked_for, but=("cleaning/release.py",))  # a command of its own
    assert {name: one for name, one in found.items() if name.startswith(rooms)} == {}
