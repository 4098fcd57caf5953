"""Vacuum with a retention of seconds, then the same model again; and when that can't be."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.config.load import load_pipeline
from pipelines.config.normalize import Normalize
from pipelines.config.train import Train
from pipelines.errors import BundleError, NotReproduced
from pipelines.lake.catalog import Lake
from pipelines.lake.files import list_files
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import replace_slice
from pipelines.maintenance import reproduce as reproducing
from pipelines.maintenance.likeness import compare, project_notes, unlike
from pipelines.maintenance.pins import files_of, mark_erased, pinned
from pipelines.maintenance.reproduce import class_counts, reproduce
from pipelines.maintenance.vacuum import tables_of, vacuum_table
from pipelines.registry.bundle import load_bundle
from pipelines.run import Run
from pipelines.runner import run_stage
from tests.conftest import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]

TABLE = "gold.flights_training"
NORMALIZE = {
    "training_set": "flights_training",
    "split": {
        "by": "date",
        "train": [dt.date(2013, 1, 1), dt.date(2013, 1, 6)],
        "validation": [dt.date(2013, 1, 7), dt.date(2013, 1, 8)],
        "test": [dt.date(2013, 1, 9), dt.date(2013, 1, 10)],
    },
    "features": {"wind": {"kind": "numeric"}, "carrier": {"kind": "category"}},
}
TRAIN = {
    "options": {"hidden": [8], "dropout": 0.2},
    "batch_size": 64,
    "epochs": 2,
    "ranks": 1,
    "class_weights": "balanced",
    "early_stopping": None,
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="module")
def open_run(spark, lake):
    flights = load_pipeline("flights", None, ["landing=nowhere"], lake.root, ROOT)

    def open_it(run_id: str, normalize: dict[str, Any] | None = None) -> Run:
        pipeline = flights.model_copy(
            update={
                "normalize": Normalize.model_validate({**NORMALIZE, **(normalize or {})}),
                "train": Train.model_validate(TRAIN),
            }
        )
        return Run(pipeline, spark, lake, run_id)

    return open_it


@pytest.fixture(scope="module")
def versions(spark, lake, open_run) -> list[int]:
    """Three versions of the training set; a bundle was trained on the first, then vacuum ran."""
    random = np.random.default_rng(3)
    rows = [
        (dt.date(2013, 1, day + 1), "UA" if n % 3 else "AA", n, "JFK", int(wind > 0.4), wind)
        for day in range(10)
        for n, wind in enumerate(random.normal(size=40).tolist())
    ]
    schema = "flight_date DATE, carrier STRING, flight INT, origin STRING, is_late INT, wind DOUBLE"
    frame = spark.createDataFrame(rows, schema)
    replace_slice(frame, lake, "gold.flights", "true", partition_by=["flight_date"])
    found = []
    for number, scale in enumerate(["standard", "minmax", "robust"]):
        wind = {"features": {"wind": {"kind": "numeric", "scale": scale}}}
        made = run_stage("normalize", open_run(f"normalize-{number}", wind if number else None))
        found.append(made.written[TABLE])
        if number == 0:
            keep_seconds_only(spark, lake.path(TABLE))
            run_stage("train", open_run("kept"))
    return found


def keep_seconds_only(spark, place: str) -> None:
    spark.sql(
        f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES "
        "('delta.deletedFileRetentionDuration' = 'interval 0 seconds')"
    )


def test_vacuum_keeps_what_the_bundle_needs_and_the_bundle_trains_the_same_model_again(
    spark, lake, open_run, versions
):
    place = lake.path(TABLE)
    needed, unused, live = (files_of(take_snapshot(place, version)) for version in versions)
    assert needed <= list_files(spark, place).keys()
    assert tables_of(spark, lake) == ["gold.flights", TABLE, "monitoring.runs"]

    dry = vacuum_table(spark, lake, TABLE, pinned(lake), dry_run=True)
    assert (dry.removed_files, dry.kept_for) == (len(unused), {"kept": len(needed)})
    assert unused <= list_files(spark, place).keys()

    done = vacuum_table(spark, lake, TABLE, pinned(lake))
    assert done == dry
    assert list_files(spark, place).keys() == needed | live
    assert latest_version(spark, lake, TABLE) == versions[-1]
    assert read_at(spark, lake, TABLE, versions[-1]).count() == 400
    # Again, and other tables: nothing more to do.
    assert vacuum_table(spark, lake, TABLE, pinned(lake)).removed_files == 0
    assert vacuum_table(spark, lake, "gold.flights", pinned(lake)).removed_files == 0

    # Its version is out of reach for Delta; the bundle knows its files.
    found = reproduce(open_run("again"), "kept")
    assert found.is_identical, found
    assert (found.unlike, found.largest_difference, found.num_rows) == ((), 0.0, 240)
    assert found.lines()[-1] == f"the same model, bit for bit: {found.num_weights:,} weights"
    assert sorted(path.name for path in Path(lake.training("flights", "kept")).iterdir()) == [
        "bundle"
    ]

    counted = read_at(spark, lake, TABLE, versions[-1]).where("split = 'train'")
    wanted = {
        int(row["_label"]): row["count"] for row in counted.groupBy("_label").count().collect()
    }
    assert class_counts(take_snapshot(place, versions[-1], {"split": "train"})) == wanted


def test_other_weights_are_an_error_that_says_what_was_expected(
    spark, lake, open_run, versions, monkeypatch
):
    def train_otherwise(run, bundle, *_):
        trained = load_bundle(f"{lake.training('flights', 'kept')}/bundle")
        model = trained.load_model()
        model.set_weights([array + 0.5 for array in model.get_weights()])
        from pipelines.training.models.inference import model_bytes
        from pipelines.training.work import Trained

        facts = bundle.manifest["training"]
        return Trained(
            model_bytes(model), [], 1, {}, 0, facts["ranks"], 0, [], facts["cpu"], facts["threads"]
        )

    monkeypatch.setattr(reproducing, "_train", train_otherwise)
    with pytest.raises(NotReproduced, match=r"differs by 0\.5; expected the same bits") as caught:
        reproduce(open_run("otherwise"), "kept")
    assert caught.value.exit_code == 3


def test_an_erasure_wins_over_what_a_bundle_needs(spark, lake, open_run, versions):
    (pin,) = pinned(lake)
    mark_erased(pin.bundle, {"erased_at": "2013-02-01"})
    try:
        with pytest.raises(BundleError, match=r"kept can't be reproduced: rows .*2013-02-01"):
            reproduce(open_run("after-erasure"), "kept")
        done = vacuum_table(spark, lake, TABLE, pinned(lake), dry_run=True)
        assert (done.kept_files, done.removed_files) == (0, len(pin.files))
    finally:
        (Path(pin.bundle) / "erased.json").unlink()


def test_files_that_something_else_removed_are_named(spark, lake, open_run, versions):
    done = vacuum_table(spark, lake, TABLE, pins=[])
    (pin,) = pinned(lake)
    assert done.removed_files == len(pin.files)
    again = vacuum_table(spark, lake, TABLE, [pin])
    assert again.missing_for == {"kept": len(pin.files)}
    with pytest.raises(
        BundleError, match=rf"{len(pin.files)} of the {len(pin.files)} files of gold"
    ):
        reproduce(open_run("too-late"), "kept")


def test_weights_are_compared_by_bits_and_by_a_tolerance():
    was = [np.array([1.0, -2.0], np.float32), np.zeros((2, 2), np.float32)]
    assert compare(was, [array.copy() for array in was]) == (True, 0.0, True)
    near = [np.array([1.00005, -2.0], np.float32), was[1]]
    is_identical, largest, is_near = compare(was, near)
    assert (is_identical, is_near) == (False, True)
    assert largest == pytest.approx(5e-5, rel=0.01)
    assert compare(was, [was[0] + 0.01, was[1]])[2] is False
    assert compare(was, was[:1]) == (False, float("inf"), False)


def test_bits_are_asked_for_only_where_everything_is_as_it_was():
    then = {
        "packages": {"keras": "3", "pyspark": "4.0"},
        "settings": {"ranks": 2},
        "training": {"cpu": "x86_64 A", "threads": 1, "ranks": 2},
    }
    now = {"cpu": "x86_64 A", "threads": 1, "ranks": 2}
    assert unlike(then, now, {"keras": "3", "pyspark": "4.1"}) == ()
    assert unlike(then, {**now, "cpu": "x86_64 B"}, {"keras": "3.1"}) == (
        "cpu was x86_64 A, is x86_64 B",
        "keras was 3, is 3.1",
    )
    code = {**then, "code": {"package": "a" * 64}}
    assert unlike(code, now, {"keras": "3"}, {"package": "a" * 64}) == ()
    assert unlike(code, now, {"keras": "3"}, {"package": "b" * 64}) == (
        "tidemill's code was aaaaaaaaaaaa, is bbbbbbbbbbbb",
    )
    lost = {**then, "training": {"threads": 1, "ranks": 1}}
    assert unlike(lost, {**now, "ranks": 1}, {"keras": "3"}) == (
        "cpu was not recorded, is x86_64 A",
        "it began with 2 ranks and ended with 1",
    )


def test_what_differs_of_the_project_is_noted():
    was = {"commit": "a" * 40, "is_dirty": False}
    dirty = {"commit": "a" * 40, "is_dirty": True, "difference": "d" * 64}
    assert project_notes(was, was) == []
    assert project_notes(was, dirty) == [
        "the project was at commit aaaaaaaaaaaa, "
        "is at commit aaaaaaaaaaaa with changes dddddddddddd"
    ]
    (note,) = project_notes({"commit": "a" * 40}, {})
    assert "whether with changes is not recorded), is under no git" in note
