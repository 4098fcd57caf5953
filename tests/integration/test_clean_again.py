"""Settings that changed: rows that are there are made anew from bronze, as if it had been so."""

from __future__ import annotations

import datetime as dt
import shutil

import pytest

from pipelines.cleaning import store
from pipelines.cleaning.made_with import notes, sign, together
from pipelines.cleaning.progress import OLDER_RELEASE
from pipelines.config import Pipeline
from pipelines.config.privacy import Privacy
from pipelines.erasure.erase import erase
from pipelines.errors import SchemaError, UsageError
from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.run import Run
from pipelines.runner import open_run, run_stage
from tests.integration.test_clean import DAY1, DAY2, DAY3, Workshop, went

pytestmark = pytest.mark.spark
GERMAN = {"id": {"type": "int"}, "v": {"type": "double", "null_values": ["-"]}}
AGAIN = ("readings",)
TWO_DAYS = ([("1", "1.5"), ("2", "-"), ("3", "3")], [("3", "-"), ("x", "4"), ("4", "4")])


@pytest.fixture
def shop(spark, lake):
    return Workshop(spark, lake)


@pytest.fixture(scope="module")
def first_made(spark, tmp_path_factory):
    """A shop whose lake is there to be copied: two days, cleaned with the usual settings."""
    shop = Workshop(spark, Lake(str(tmp_path_factory.mktemp("first") / "lake")))
    deliver_and_run(shop)
    return shop


@pytest.fixture
def two_days(first_made, lake):
    shutil.copytree(first_made.lake.root, lake.root)
    return first_made.on(lake)


@pytest.fixture(scope="module")
def right(spark, tmp_path_factory):
    """The tables of a lake in which the settings were right from the beginning."""
    shop = Workshop(spark, Lake(str(tmp_path_factory.mktemp("right") / "lake")))
    deliver_and_run(shop, columns=GERMAN)
    return tables(shop)


def deliver_and_run(shop, **settings):
    for number, rows in enumerate(TWO_DAYS, start=1):
        shop.deliver(rows, f"{number}.csv", (DAY1, DAY2)[number - 1])
        shop.run(**settings)


def tables(shop):
    """All that silver and quarantine hold, but when it was written."""
    found = []
    for name, audit in (("silver", "_updated_at"), ("quarantine", "quarantined_at")):
        rows = shop.table(f"{name}.readings").drop(audit)
        found.append(sorted(repr(row.asDict(recursive=True)) for row in rows.collect()))
    return found


def test_changed_settings_are_said_and_again_makes_the_tables_they_would_have_made(two_days, right):
    assert two_days.silver() == {(1, 1.5), (3, 3.0), (4, 4.0)}
    result = two_days.run(columns=GERMAN)
    assert went(result) == {}
    assert result.details["notes"] == [
        "silver.readings and quarantine.readings hold rows that were made with other settings than "
        "today's: they stay as they are. `tidemill clean shop --again --entity readings` makes "
        "both anew from bronze"
    ]
    result = two_days.run(columns=GERMAN, again=AGAIN)
    assert went(result) == {"rows_in": 6, "inserted": 4, "superseded": 1, "quarantined": 1}
    assert result.details["notes"] == []
    assert tables(two_days) == right
    once = tables(two_days)
    assert went(two_days.run(columns=GERMAN, again=AGAIN))["inserted"] == 4
    assert tables(two_days) == once
    two_days.deliver([("1", "9")], "3.csv", DAY3)
    result = two_days.run(columns=GERMAN)
    assert (went(result), result.details["notes"]) == ({"rows_in": 1, "updated": 1}, [])


def test_rows_of_two_settings_are_told_of_until_all_are_made_anew(two_days):
    two_days.deliver([("5", "-")], "3.csv", DAY3)
    assert len(two_days.run(columns=GERMAN).details["notes"]) == 2, "and that v is null in all rows"
    assert len(two_days.run(columns=GERMAN).details["notes"]) == 1
    assert len(two_days.run().details["notes"]) == 1, "nor are they all of the former settings"
    place = two_days.lake.state("shop", "clean", "readings")
    older = files.read_text(two_days.spark, place).replace("made_with", "of_another_release")
    files.write_text(two_days.spark, place, older)
    (note,) = two_days.run().details["notes"]
    assert "made by an older release, whose casts let more through" in note


def test_again_gives_the_table_other_columns(two_days):
    columns = {"id": {"type": "int"}, "v": {}}
    two_days.deliver([("1", "9")], "3.csv", DAY3)
    with pytest.raises(SchemaError, match="`tidemill clean shop --again --entity readings` makes"):
        two_days.run(columns=columns)
    two_days.run(columns=columns, again=AGAIN)
    assert two_days.silver() == {(1, "9"), (2, "-"), (3, "-"), (4, "4")}
    with pytest.raises(UsageError, match=r"--entity reading: shop has no such entity.*'readings'"):
        two_days.run(again=("reading",))


@pytest.mark.parametrize(
    "settings", [{"delivery": "full_snapshot"}, {"delete_when": "v = 4"}], ids=str
)
def test_again_ends_as_one_delivery_after_the_other(shop, settings):
    shop.deliver([("1", "1"), ("2", "2"), ("3", "3")])
    shop.run(**settings)
    gone = [("3", "4")] if "delete_when" in settings else []
    shop.deliver([("1", "1"), ("2", "x"), ("4", "5"), *gone], "b.csv", DAY2)
    shop.run(**settings)
    shop.deliver([("1", "late"), ("3", "8")], "late.csv", DAY1)
    shop.run(**settings)
    silver, quarantine = shop.silver(), tables(shop)[1]
    shop.run(**settings, again=AGAIN)
    # A row that came once more unchanged has the place of its last delivery now.
    assert (shop.silver(), tables(shop)[1]) == (silver, quarantine)


def test_a_kill_between_the_tables_leaves_whole_ones_and_a_repeated_run_ends_well(
    two_days, right, monkeypatch
):
    before = tables(two_days)
    whole, left = store.replace_all, [1]

    def dying(*args, **more):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return whole(*args, **more)

    monkeypatch.setattr(store, "replace_all", dying)
    with pytest.raises(KeyboardInterrupt):
        two_days.run(columns=GERMAN, again=AGAIN, run_id="same")
    assert tables(two_days)[0] == before[0], "silver is the one of before, whole"
    assert tables(two_days)[1] == right[1]
    monkeypatch.undo()
    assert len(two_days.run(columns=GERMAN).details["notes"]) == 1, "it is not done"
    two_days.run(columns=GERMAN, again=AGAIN, run_id="same")
    assert tables(two_days) == right
    assert two_days.run(columns=GERMAN).details["notes"] == []


def test_who_was_erased_stays_erased_and_marks_act_again(two_days):
    run = Run(two_days.pipeline(columns=GERMAN), two_days.spark, two_days.lake, "erase")
    erase(run, ["id=3"])
    two_days.privacy = Privacy.model_validate({"sources": {"readings": {"v": "drop"}}})
    two_days.run(columns={"id": {"type": "int"}, "v": {}}, again=AGAIN)
    assert two_days.silver() == {(1, None), (2, None), (4, None)}


def shop_pipeline(folder, lake, null):
    columns = {
        "id": {"type": "int"},
        "v": {"type": "double", "null_values": [null]},
        "day": {"type": "date"},
    }
    return Pipeline.model_validate(
        {
            "name": "shop",
            "landing": str(folder / "landing"),
            "ingest": {
                "sources": {"readings": {"path": "readings", "columns": ["id", "v", "day"]}}
            },
            "clean": {
                "entities": {
                    "readings": {"source": "readings", "key": ["id", "day"], "columns": columns}
                }
            },
            "featurize": {
                "table": "readings",
                "sql": ["features.sql"],
                "reads": {"silver.readings": "timestamp(day)"},
                "sources": {"silver.readings": {"date": "day"}},
                "key": ["id"],
                "date": "day",
            },
            "normalize": {
                "training_set": "t",
                "split": {"by": "hash"},
                "features": {"v": {"kind": "numeric"}},
            },
            "train": {},
            "promote": {"threshold": 0.5},
            "score": {"model": "m"},
        }
    ).model_copy(update={"folder": folder, "root": folder, "lake": lake.root})


def test_features_follow_silver_that_was_made_anew(spark, tmp_path):
    folder = tmp_path / "landing" / "readings"
    folder.mkdir(parents=True)
    (folder / "1.csv").write_text("id,v,day\n1,1.5,2024-01-01\n2,-,2024-01-01\n1,2.5,2024-01-02\n")
    (tmp_path / "features.sql").write_text(
        "SELECT id, day, v, timestamp(day) AS prediction_at FROM silver.readings "
        "WHERE day BETWEEN :since AND :until"
    )

    def features(lake, *steps):
        for null, stage, again in steps:
            run = open_run(shop_pipeline(tmp_path, lake, null), spark=spark)
            if again:
                run = Run(run.pipeline, spark, lake, run.run_id, again=again)
            run_stage(stage, run)
        rows = read_at(spark, lake, "gold.readings", latest_version(spark, lake, "gold.readings"))
        return sorted((row["id"], row["day"], row["v"]) for row in rows.collect())

    wrong, right = Lake(str(tmp_path / "wrong")), Lake(str(tmp_path / "right"))
    first = features(wrong, ("", "ingest", ()), ("", "clean", ()), ("", "featurize", ()))
    assert len(first) == 2
    made_anew = features(wrong, ("-", "clean", AGAIN), ("-", "featurize", ()))
    assert made_anew == features(
        right, ("-", "ingest", ()), ("-", "clean", ()), ("-", "featurize", ())
    )
    assert (2, dt.date(2024, 1, 1), None) in made_anew


def test_only_what_decides_over_rows_is_in_the_sign(tmp_path):
    lake = Lake(str(tmp_path))
    pipeline = shop_pipeline(tmp_path, lake, "-")
    now = sign(pipeline, "readings")
    assert now != sign(shop_pipeline(tmp_path, lake, ""), "readings")
    entity = pipeline.clean.entities["readings"]

    def with_entity(**changes):
        entities = {"readings": entity.model_copy(update=changes)}
        clean = pipeline.clean.model_copy(update={"entities": entities})
        return pipeline.model_copy(update={"clean": clean})

    assert sign(with_entity(max_quarantined=0.1, cluster_by=("id",)), "readings") == now
    assert sign(with_entity(delete_when="v = 1"), "readings") != now
    assert sign(pipeline.model_copy(update={"timezone": "Europe/Berlin"}), "readings") != now
    assert together((OLDER_RELEASE, now), now) == (OLDER_RELEASE, now)
    assert notes(pipeline, {"readings": (now,)}) == []
    assert len(notes(pipeline, {"readings": (now, "another")})) == 1
