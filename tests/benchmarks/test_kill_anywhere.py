"""What the benchmark of killed drivers compares."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from tests.lakes import content, differences


def made(root: Path, *, covered: str | None = None) -> dict:
    """Return the content of a new lake whose progress names its table, or another one."""
    write_deltalake(root / "gold" / "flights", pa.table({"flight": [1, 2]}))
    log = (root / "gold" / "flights" / "_delta_log" / f"{0:020d}.json").read_text()
    own = next(json.loads(one) for one in log.split("\n") if "metaData" in one)["metaData"]["id"]
    note = root / "_state" / "flights" / "featurize" / "days.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"table": covered or own, "days": [["2013-01-01", "2013-01-03"]]}))
    return content(root)


def test_lakes_whose_tables_were_made_at_other_times_hold_the_same(tmp_path):
    assert differences(made(tmp_path / "a"), made(tmp_path / "b")) == []


def test_progress_that_names_another_table_is_a_difference(tmp_path):
    found = differences(made(tmp_path / "a"), made(tmp_path / "b", covered="another"))
    assert len(found) == 1
    assert found[0].startswith("_state/flights/featurize/days.json: expected {'table': 'gold.")
