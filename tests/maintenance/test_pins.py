"""What bundles keep, told without Spark."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipelines.errors import BundleError, FeedError, TrainingError, UsageError
from pipelines.lake.catalog import Lake
from pipelines.lake.deletion_vector import DeletionVector
from pipelines.lake.folder import Folder
from pipelines.lake.snapshot import LiveFile, Snapshot
from pipelines.maintenance.pins import compared, erased, mark_erased, pinned
from pipelines.maintenance.show import vacuum_lines
from pipelines.maintenance.vacuum import Vacuumed, parse_retention, vacuum_table
from pipelines.registry.reading import (
    Reading,
    end_reading,
    note_reading,
    reading,
    while_reading,
)
from tests.lake.logs import PROTOCOL, add, column, commit, metadata

VECTOR = DeletionVector("u", "ab^-aqEH.-t@S}K{vb[*k^", 4, 40, 2)
TRAIN = Snapshot("/old/place", 7, (LiveFile("a.parquet", 8, deletion_vector=VECTOR),))
TEST = Snapshot("/old/place", 7, (LiveFile("b.parquet", 5),))


def make_bundle(lake: Lake, run_id: str, **files: bytes) -> str:
    folder = f"{lake.training('flights', run_id)}/bundle"
    facts = {"training_set": "gold.t", "tables": {"gold.t": 7, "gold.flights": 3}}
    snapshots = {"train": json.loads(TRAIN.to_json()), "test": json.loads(TEST.to_json())}
    place = Folder(folder)
    place.write("snapshots.json", files.get("snapshots", json.dumps(snapshots).encode()))
    place.write("manifest.json", json.dumps(facts).encode())
    return folder


def test_a_bundle_keeps_the_files_of_all_its_splits_and_their_deletion_vectors(lake):
    folder = make_bundle(lake, "run-1")
    Folder(lake.training("flights", "unfinished")).write("checkpoint-1/x", b"")
    (pin,) = pinned(lake)
    assert (pin.pipeline, pin.run_id, pin.table, pin.version) == ("flights", "run-1", "gold.t", 7)
    assert pin.bundle == folder
    assert pin.files == {"a.parquet", "b.parquet", VECTOR.file}


def test_a_bundle_whose_rows_were_erased_keeps_nothing(lake):
    folder = make_bundle(lake, "run-1")
    assert erased(folder) is None
    mark_erased(folder, {"erasure": "e-1"})
    assert pinned(lake) == []
    assert erased(folder) == {"erasure": "e-1"}


def test_a_bundle_that_does_not_say_what_it_needs_stops_everything(lake):
    make_bundle(lake, "run-1", snapshots=b"{")
    with pytest.raises(BundleError, match=r"run-1/bundle needs can't be told.*remove its folder"):
        pinned(lake)


def test_a_training_without_a_bundle_keeps_what_it_reads_until_it_ends_or_is_left_alone(lake):
    schema = metadata(column("x", "float"))
    for table in ("t", "flights"):
        place = Path(lake.path(f"gold.{table}"))
        commit(place, 0, PROTOCOL, schema, add("old.parquet", {"numRecords": 1}))
        commit(place, 1, {"remove": {"path": "old.parquet", "dataChange": True}})
    folder = lake.training("flights", "run-1")
    begun = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    reads = Reading({"gold.t": 0, "gold.flights": 0, "gold.gone": 3}, ("gold.t",))
    note_reading(folder, reads)
    found = {pin.table: pin for pin in pinned(lake)}
    assert found["gold.t"].files == found["gold.flights"].files == {"old.parquet"}
    assert {table: pin.is_trained_on for table, pin in found.items()} == {
        "gold.t": True,
        "gold.flights": False,
        "gold.gone": False,
    }
    assert compared(lake) == []
    end_reading(folder)
    assert pinned(lake) == []
    note_reading(folder, reads, begun)
    assert reading(folder, begun + dt.timedelta(days=29)) == reads
    assert reading(folder, begun + dt.timedelta(days=31)) is None, "killed, and never tried again"


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [(None, True), (KeyboardInterrupt, True), (TrainingError, True), (FeedError, False)],
)
def test_a_training_notes_what_it_reads_and_a_refused_one_lets_go(lake, error, is_kept):
    folder = lake.training("flights", "run-1")
    reads = Reading({"gold.t": 3, "gold.flights": 8}, ("gold.t", "gold.t_folds"))
    expected = nullcontext() if error is None else pytest.raises(error)
    with expected, while_reading(folder, reads):
        assert reading(folder) == reads
        mark_erased(f"{folder}/bundle", {"erasure": "e-1"})  # while it reads
        if error:
            raise error("x")
    assert (reading(folder) is not None) is is_kept
    assert (erased(f"{folder}/bundle") is not None) is is_kept


@pytest.mark.parametrize(
    ("text", "hours"), [("30d", 720), ("12h", 12), ("90m", 1.5), ("36s", 0.01)]
)
def test_a_retention_is_a_number_and_a_unit(text, hours):
    assert parse_retention(text) == pytest.approx(hours)


def test_a_retention_without_a_unit_is_refused():
    with pytest.raises(UsageError, match=r"'30' is no retention; expected .* 30d"):
        parse_retention("30")


def test_less_than_a_week_is_refused_where_no_lock_keeps_others_out():
    with pytest.raises(UsageError, match=r"12 hours is less than 168.*s3a://lake"):
        vacuum_table(None, Lake("s3a://lake"), "gold.t", [], 12)  # type: ignore[arg-type]


def test_the_report_says_what_was_kept_and_for_which_run():
    found = [
        Vacuumed("gold.t", 2, 2000, 3, 4_500_000, {"run-1": 3}, {"run-0": 1}),
        Vacuumed("silver.flights"),
    ]
    assert vacuum_lines(found, dry_run=False) == [
        "gold.t: removed 2 files (2 kB)",
        "gold.t: kept 3 files (4.5 MB) no longer in the table, for the bundles of run-1 (3)",
        "gold.t: 1 files that run run-0 was trained on are gone; it can't be reproduced",
        "2 tables: removed 2 files (2 kB)",
    ]
