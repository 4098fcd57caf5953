"""clean on real Delta tables: run twice, interrupted, refused, corrected."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from copy import copy
from dataclasses import replace

import pytest
from chispa import assert_df_equality

from pipelines.cleaning import store
from pipelines.config import Pipeline
from pipelines.config.clean import Clean
from pipelines.config.ingest import Ingest, Source
from pipelines.config.privacy import Privacy
from pipelines.errors import LakeError, QualityError, SchemaError, TableNotFound, TooMuchAside
from pipelines.lake import files
from pipelines.lake.changes import FEED, switch_on_feed
from pipelines.lake.read import latest_version
from pipelines.lake.write import create_if_absent
from pipelines.run import Run
from pipelines.runner import work
from pipelines.stages.catalog import STAGES

pytestmark = pytest.mark.spark

DAY1, DAY2, DAY3 = (dt.datetime(2013, 1, day, 6) for day in (1, 2, 3))
BRONZE = (
    "id string, v string, _source_file string, _source_modified_at timestamp, _row bigint, "
    "_batch bigint, _ingested_at timestamp"
)


class Workshop:
    """A pipeline whose source `readings` has the columns id and v, and its bronze table."""

    def __init__(self, spark, lake):
        self.spark, self.lake = spark, lake
        self._batch = 0
        self.privacy = Privacy()

    def on(self, lake):
        """Return it as it is now, on a copy of its lake."""
        other = copy(self)
        other.lake = lake
        return other

    def pipeline(self, *, delivery="upsert", others=None, zone="UTC", **entity):
        """Return the pipeline with the entity's settings."""
        settings = {
            "source": "readings",
            "key": "id",
            "columns": {"id": {"type": "int"}, "v": {"type": "double"}},
            **entity,
        }
        sources = {
            "readings": Source(path="readings", columns=("id", "v"), delivery=delivery),
            "others": Source(path="others", columns=("id", "at")),
        }
        # Only what clean looks at: the other stages' settings are not its business.
        return Pipeline.model_construct(
            name="shop",
            timezone=zone,
            landing="landing",
            privacy=self.privacy,
            ingest=Ingest(sources=sources),
            clean=Clean.model_validate({"entities": {"readings": settings, **(others or {})}}),
        )

    def run(self, *, run_id=None, again=(), **settings):
        """Clean with the entity's settings; return the stage's result."""
        self._batch += 1
        run_id = run_id or f"run{self._batch}"
        run = Run(self.pipeline(**settings), self.spark, self.lake, run_id, again=again)
        return work(STAGES["clean"], run)

    def deliver(self, rows, file="a.csv", at=DAY1, properties=None):
        """Append a file's rows to bronze.readings."""
        self._batch += 1
        now = dt.datetime(2013, 2, 1)
        full = [(*row, file, at, n, self._batch, now) for n, row in enumerate(rows)]
        df = self.spark.createDataFrame(full, BRONZE)
        create_if_absent(self.spark, self.lake, "bronze.readings", df.schema, properties=properties)
        df.write.format("delta").mode("append").save(self.lake.path("bronze.readings"))

    def table(self, name):
        return self.spark.read.format("delta").load(self.lake.path(name))

    def silver(self):
        """Return the silver table as a set of (id, v)."""
        return {(row["id"], row["v"]) for row in self.table("silver.readings").collect()}

    def versions(self):
        names = ("silver.readings", "quarantine.readings")
        return [latest_version(self.spark, self.lake, name) for name in names]

    def state(self, name="readings"):
        text = files.read_text(self.spark, self.lake.state("shop", "clean", name))
        return None if text is None else json.loads(text)


@pytest.fixture
def shop(spark, lake):
    return Workshop(spark, lake)


def went(result):
    """Return the counts that are not zero."""
    return {k: v for k, v in result.counts.items() if v and "." not in k}


def test_rows_become_typed_one_per_key_and_bad_ones_are_kept_with_all_their_reasons(shop):
    rules = [
        {"name": "below_hundred", "check": "v < 100"},
        {"name": "even", "check": "id % 2 = 0", "severity": "warn"},
    ]
    columns = {"id": {"type": "int"}, "v": {"type": "double", "missing": {"action": "drop"}}}
    shop.deliver([("1", " 1.5 "), ("2", ""), ("x", "777"), ("3", "2"), ("3", "4"), (None, "5")])
    result = shop.run(rules=rules, columns=columns)
    assert shop.silver() == {(1, 1.5), (3, 4.0)}
    expected = shop.spark.createDataFrame(
        [
            ("x", "777", ["cast:id", "below_hundred"], "a.csv", 2, DAY1),
            (None, "5", ["missing:id"], "a.csv", 5, DAY1),
        ],
        "id string, v string, reasons array<string>, _source_file string, _row bigint, "
        "_source_modified_at timestamp",
    )
    quarantined = shop.table("quarantine.readings").drop("quarantined_at").orderBy("_row")
    assert_df_equality(quarantined, expected, ignore_nullable=True)
    assert went(result) == {
        "rows_in": 6, "inserted": 2, "superseded": 1, "dropped": 1, "quarantined": 2,
    }  # fmt: skip
    assert result.details["rules"] == [
        {"entity": "readings", "rule": "below_hundred", "severity": "quarantine",
         "checked": 5, "broken": 1},
        {"entity": "readings", "rule": "even", "severity": "warn", "checked": 5, "broken": 3},
    ]  # fmt: skip
    assert result.details["reasons"] == {
        "readings": {"cast:id": 1, "below_hundred": 1, "missing:id": 1}
    }
    assert result.read == {"bronze.readings": 1}
    assert shop.table("silver.readings").columns == [
        "id", "v", "_order_file_at", "_order_file", "_order_row", "_source_file", "_updated_at",
    ]  # fmt: skip


def test_a_second_run_writes_nothing_and_new_files_are_merged_by_the_order_key(shop, caplog):
    shop.deliver([("1", "1"), ("2", "2"), ("3", "3"), ("y", "0")], "b.csv", DAY2)
    shop.run()
    versions = shop.versions()
    again = shop.run()
    assert shop.versions() == versions
    assert went(again) == {}
    assert again.written == {"silver.readings": versions[0], "quarantine.readings": versions[1]}

    shop.deliver([("1", "10"), ("2", "2"), ("4", "4"), ("z", "0")], "c.csv", DAY3)
    shop.deliver([("3", "30"), ("5", "5")], "a.csv", DAY1)
    result = shop.run()
    assert shop.silver() == {(1, 10.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0)}
    assert went(result) == {
        "rows_in": 6, "inserted": 2, "updated": 1, "unchanged": 1, "superseded": 1,
        "quarantined": 1,
    }  # fmt: skip
    assert shop.table("quarantine.readings").count() == 2
    assert shop.state()["last"]["counts"]["rows_in"] == 6

    shop.deliver([("1", "10"), ("2", "2")], "d.csv", dt.datetime(2013, 1, 4))
    versions = shop.versions()
    assert went(shop.run()) == {"rows_in": 2, "unchanged": 2}
    assert shop.versions() == versions, "a merge without effect makes no version"

    shutil.rmtree(shop.lake.path("bronze.readings"))
    shop.deliver([("6", "6")], "e.csv", dt.datetime(2013, 1, 5))
    assert went(shop.run()) == {"rows_in": 1, "inserted": 1}
    assert "bronze.readings was made anew since readings was cleaned" in caplog.text


def test_a_run_that_dies_before_its_progress_is_stored_ends_as_one_clean_run(shop, monkeypatch):
    shop.deliver([("1", "1"), ("x", "2")])

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.state, "write_progress", die)
        with pytest.raises(KeyboardInterrupt):
            shop.run(run_id="same")
    assert shop.state() is None
    versions = shop.versions()
    shop.deliver([("2", "2")], "b.csv")
    result = shop.run(run_id="same")
    assert went(result) == {"rows_in": 2, "unchanged": 1, "quarantined": 1}
    assert shop.versions() == versions, "the retry works on the version its run resolved"
    assert went(shop.run()) == {"rows_in": 1, "inserted": 1}
    assert shop.silver() == {(1, 1.0), (2, 2.0)}


def test_a_broken_fail_rule_writes_nothing_until_a_correction_arrives(shop):
    rules = [{"name": "positive", "check": "v > 0", "severity": "fail"}]
    shop.deliver([("1", "-1"), ("2", "2"), ("x", "3")])
    with pytest.raises(QualityError) as error:
        shop.run(rules=rules)
    assert error.value.exit_code == 3
    assert str(error.value).startswith(
        "rule 'positive' of entity 'readings' (severity fail) is broken by 1 of 3 new rows: "
        "`v > 0`; for example id=1\nNothing was written."
    )
    with pytest.raises(TableNotFound):
        latest_version(shop.spark, shop.lake, "silver.readings")
    assert shop.state() is None
    shop.deliver([("1", "1")], "b.csv", DAY2)
    assert went(shop.run(rules=rules)) == {
        "rows_in": 4, "inserted": 2, "superseded": 1, "quarantined": 1,
    }  # fmt: skip


def test_a_full_snapshot_removes_what_it_no_longer_holds(shop):
    shop.deliver([("1", "1"), ("2", "2"), ("3", "3")])
    shop.run(delivery="full_snapshot")
    shop.deliver([("1", "1"), ("2", "x"), ("4", "4")], "b.csv", DAY2)
    result = shop.run(delivery="full_snapshot")
    assert shop.silver() == {(1, 1.0), (2, 2.0), (4, 4.0)}, "a bad row removes no good one"
    assert went(result) == {
        "rows_in": 3, "inserted": 1, "unchanged": 1, "quarantined": 1, "removed": 1,
    }  # fmt: skip

    shop.deliver([("1", "99"), ("5", "5")], "late.csv", DAY1)
    assert went(shop.run(delivery="full_snapshot")) == {"rows_in": 2, "superseded": 2}
    assert shop.silver() == {(1, 1.0), (2, 2.0), (4, 4.0)}

    ledger = shop.spark.createDataFrame(
        [("c.csv", DAY3, 1)], "path string, modified_at timestamp, malformed bigint"
    )
    ledger.write.format("delta").save(shop.lake.path("bronze.readings_files"))
    shop.deliver([("1", "1")], "c.csv", DAY3)
    result = shop.run(delivery="full_snapshot")
    assert shop.silver() == {(1, 1.0), (2, 2.0), (4, 4.0)}
    assert result.details["notes"] == [
        "readings: no row was removed, the snapshot c.csv holds malformed records"
    ]


def test_delete_when_removes_a_key_and_leaves_unknown_ones_alone(shop):
    columns = {"id": {"type": "int"}, "v": {"type": "string"}}
    shop.deliver([("1", "a"), ("2", "b")])
    shop.run(columns=columns, delete_when="v = 'gone'")
    shop.deliver([("1", "gone"), ("9", "gone"), ("3", "c")], "b.csv", DAY2)
    result = shop.run(columns=columns, delete_when="v = 'gone'")
    assert shop.silver() == {(2, "b"), (3, "c")}
    assert went(result) == {"rows_in": 3, "inserted": 1, "deleted": 1, "unchanged": 1}


def test_a_late_row_older_than_what_its_key_had_stays_out(shop):
    settings = {"columns": {"id": {"type": "int"}, "v": {}}, "delete_when": "v = 'gone'"}
    day4, day5 = (dt.datetime(2013, 1, day, 6) for day in (4, 5))
    shop.deliver([("1", "a"), ("2", "b"), ("3", "c")])
    shop.run(**settings)
    shop.deliver([("1", "gone"), ("2", "gone"), ("3", "c")], "c.csv", DAY3)
    assert went(shop.run(**settings)) == {"rows_in": 3, "deleted": 2, "unchanged": 1}
    # Silver itself has no trace of the deletion, nor of the newer row that changed nothing.
    shop.deliver([("1", "late"), ("3", "late"), ("9", "new")], "b.csv", DAY2)
    assert went(shop.run(**settings)) == {"rows_in": 3, "inserted": 1, "superseded": 2}
    assert shop.silver() == {(3, "c"), (9, "new")}
    shop.deliver([("1", "back"), ("x", "bad")], "d.csv", day5)
    assert went(shop.run(**settings)) == {"rows_in": 2, "inserted": 1, "quarantined": 1}
    shop.deliver([("1", "late"), ("2", "back"), ("y", "bad")], "d.csv", day4)
    assert went(shop.run(**settings)) == {
        "rows_in": 3, "inserted": 1, "superseded": 1, "quarantined": 1,
    }  # fmt: skip
    assert shop.silver() == {(1, "back"), (2, "back"), (3, "c"), (9, "new")}


def test_without_a_change_feed_all_rows_are_read_again_with_the_same_result(shop, caplog):
    off = {"delta.enableChangeDataFeed": "false"}
    shop.deliver([("1", "1"), ("x", "2")], properties=off)
    shop.run()
    shop.deliver([("2", "2")], "b.csv", DAY2)
    result = shop.run()
    assert "bronze.readings: no change feed from version 2 to 2: " in caplog.text
    assert "All its rows are read again." in caplog.text
    assert went(result) == {"rows_in": 3, "inserted": 1, "unchanged": 1, "quarantined": 1}
    assert shop.silver() == {(1, 1.0), (2, 2.0)}
    assert shop.table("quarantine.readings").count() == 1


def test_a_column_that_bronze_gained_reaches_quarantine_and_leaves_silver_alone(shop):
    shop.deliver([("1", "1"), ("x", "2")])
    shop.run()
    # A silver table of an older release has no change feed: it gets one.
    silver = f"delta.`{shop.lake.path('silver.readings')}`"
    off = f"ALTER TABLE {silver} SET TBLPROPERTIES ('{FEED}' = 'false')"
    shop.spark.sql(off)
    shop.spark.sql(f"ALTER TABLE delta.`{shop.lake.path('bronze.readings')}` ADD COLUMNS (c int)")
    shop.deliver([("y", "3"), ("2", "2")], "b.csv", DAY2)
    assert went(shop.run()) == {"rows_in": 2, "inserted": 1, "quarantined": 1}
    assert shop.silver() == {(1, 1.0), (2, 2.0)}
    quarantined = shop.table("quarantine.readings").orderBy("_source_file").select("id", "c")
    assert [tuple(row) for row in quarantined.collect()] == [("x", None), ("y", None)]
    assert not switch_on_feed(shop.spark, shop.lake, "silver.readings")


def test_a_column_that_no_file_has_given_a_type_yet_is_null_until_one_does(shop):
    columns = {"id": {"type": "int"}, "v": {"type": "double"}, "w": {"type": "int"}}
    columns["renamed"] = {"type": "timestamp", "source": "t"}
    shop.deliver([("1", "1"), ("x", "2")])
    assert went(shop.run(columns=columns)) == {"rows_in": 2, "inserted": 1, "quarantined": 1}
    bronze = f"delta.`{shop.lake.path('bronze.readings')}`"
    shop.spark.sql(f"ALTER TABLE {bronze} ADD COLUMNS (w bigint, t timestamp)")
    shop.deliver([("2", "2"), ("y", "3")], "b.csv", DAY2)
    assert went(shop.run(columns=columns)) == {"rows_in": 2, "inserted": 1, "quarantined": 1}
    rows = shop.table("silver.readings").select("id", "w", "renamed").orderBy("id").collect()
    assert [tuple(row) for row in rows] == [(1, None, None), (2, None, None)]
    assert dict(shop.table("quarantine.readings").dtypes)["w"] == "bigint"


def test_bounds_are_fitted_once_stored_and_reused(shop):
    fence = {
        "method": "iqr", "factor": 1.5, "action": "null",
        "date_column": "day", "fit_range": ["2013-01-01", "2013-01-05"],
    }  # fmt: skip
    settings = {
        "columns": {"id": {"type": "int"}, "v": {"type": "double", "outliers": fence}},
        "derive": {"day": "make_date(2013, 1, id)"},
    }
    shop.deliver([("1", "1"), ("2", "2"), ("3", "3")])
    result = shop.run(**settings)
    assert result.details["notes"] == [
        "readings.v: outliers are not looked for until the data reaches the end of fit_range"
    ]
    shop.deliver([("4", "4"), ("5", "5"), ("6", "50"), ("40", "1")], "b.csv", DAY2)
    result = shop.run(**settings)
    bounds = shop.state("readings.outliers")["v"]
    assert (bounds["lower"], bounds["upper"]) == (-1.0, 7.0)
    assert shop.silver() == {(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0), (6, None)}
    assert result.details["reasons"] == {"readings": {"derive:day": 1}}
    shop.deliver([("7", "7"), ("8", "7.5")], "c.csv", DAY3)
    shop.run(**settings)
    assert shop.state("readings.outliers")["v"] == bounds
    assert {(7, 7.0), (8, None)} <= shop.silver()


def test_a_source_that_has_not_delivered_leaves_empty_tables(shop):
    columns = {"id": {"type": "int"}, "at": {"type": "timestamp"}}
    day = {"day": "CAST(at AS date)"}
    others = {"others": {"source": "others", "key": "id", "columns": columns, "derive": day}}
    with pytest.raises(TableNotFound, match="then run `tidemill ingest shop`"):
        shop.run(others=others)
    shop.deliver([("1", "1")])
    assert went(shop.run(others=others)) == {"rows_in": 1, "inserted": 1}
    assert shop.table("silver.others").isEmpty()
    assert dict(shop.table("silver.others").dtypes)["at"] == "timestamp"
    assert dict(shop.table("silver.others").dtypes)["day"] == "date"
    assert shop.table("quarantine.others").isEmpty()


def test_settings_that_no_longer_fit_the_table_are_refused_and_a_null_column_is_noted(shop):
    shop.deliver([("1", "")])
    result = shop.run()
    assert shop.silver() == {(1, None)}
    assert result.details["notes"] == ["readings.v is null in all new rows"]
    shop.deliver([("2", "2")], "b.csv", DAY2)
    columns = {"id": {"type": "int"}, "v": {"type": "int"}}
    with pytest.raises(
        SchemaError, match=r"'v' is double, settings say int.*--again --entity readings`"
    ):
        shop.run(columns=columns)


def test_a_row_that_a_merge_loses_or_doubles_stops_the_run_before_its_progress(shop, monkeypatch):
    shop.deliver([("1", "1"), ("2", "2"), ("3", "3")])
    shop.run()
    before = shop.state()
    shop.deliver([("4", "4"), ("5", "5")], "b.csv", DAY2)
    whole = store.upsert

    def losing(df, *args, **more):
        return whole(df.where("id <> 4"), *args, **more)

    def doubling(df, lake, table, *args, **more):
        found = whole(df, lake, table, *args, **more)
        df.write.format("delta").mode("append").save(lake.path(table))
        return replace(found, version=latest_version(df.sparkSession, lake, table))

    for broken, said in ((losing, "of 1 rows the key is missing, of 0"), (doubling, "of 2 it is")):
        monkeypatch.setattr(store, "upsert", broken)
        with pytest.raises(LakeError, match=said):
            shop.run()
        assert shop.state() == before
    monkeypatch.undo()


def test_progress_that_another_run_moved_on_meanwhile_is_not_moved_back(shop, monkeypatch):
    """As on a store where no lock keeps a second driver out."""
    shop.deliver([("1", "1")])
    whole = store.upsert

    def overtaken(*args, **more):
        monkeypatch.setattr(store, "upsert", whole)
        shop.deliver([("2", "2")], "b.csv", DAY2)
        shop.run(run_id="faster")
        return whole(*args, **more)

    monkeypatch.setattr(store, "upsert", overtaken)
    with pytest.raises(LakeError, match=r"another clean \(run faster\) has moved 'readings' on"):
        shop.run()
    assert shop.state()["last"]["run_id"] == "faster"
    assert went(shop.run()) == {}
    assert shop.silver() == {(1, 1.0), (2, 2.0)}


def test_a_run_that_achieved_nothing_is_no_success_and_says_why(shop, caplog):
    columns = {"id": {"type": "int"}, "v": {"type": "double"}}
    shop.deliver([("1", "1,5"), ("2", "2,5"), ("x", "3")])
    with pytest.raises(TooMuchAside) as error:
        shop.run(columns=columns)
    assert error.value.exit_code == 3
    assert str(error.value).startswith(
        "3 of 3 new rows of 'readings' went into quarantine: cast:v in 2 rows (for example '1,5' "
        "as double: `format: '1.234,56'` reads it, if numbers are written so); cast:id in 1 row "
        "(for example 'x' as int). That is more than the share of 0.5 that "
        "`clean.entities.readings.max_quarantined` allows. All rows are written, and `tidemill "
        "quarantine show shop readings --reason cast:v` shows them. Correct"
    )
    assert shop.table("quarantine.readings").count() == 3
    assert went(shop.run()) == {}, "nothing new is no failure"
    shop.deliver([("1", "1")], "b.csv", DAY2)
    shop.run()
    shop.deliver([("2", "2"), ("3", "y"), ("4", "z")], "c.csv", DAY3)
    caplog.clear()
    assert went(shop.run())["quarantined"] == 2, "a few beside good ones stop no run"
    assert (
        "2 of 3 new rows of 'readings' went into quarantine: cast:v in 2 rows (for example 'y' as "
        "double). `tidemill quarantine show shop readings` shows them"
    ) in caplog.text, "but they are told"
    shop.deliver([("5", "y")], "d.csv", DAY3)
    mark = {"action": "generalize", "to": "prefix", "keep": 3}
    shop.privacy = Privacy.model_validate({"sources": {"readings": {"id": mark}}})
    with pytest.raises(TooMuchAside) as error:
        shop.run()
    assert "cast:v in 1 row. That" in str(error.value), "no value is shown where some are marked"
    many = [(str(n), "y") for n in range(20)] + [(str(n), "1") for n in range(20, 39)]
    shop.privacy = Privacy()
    shop.deliver(many, "e.csv", DAY3)
    with pytest.raises(TooMuchAside, match="20 of 39 new rows"):
        shop.run()
    shop.deliver(many, "f.csv", DAY3)
    assert went(shop.run(max_quarantined=1))["quarantined"] == 20


def test_times_without_an_offset_are_of_the_pipelines_zone_and_are_counted(shop):
    columns = {"id": {"type": "int"}, "v": {"type": "timestamp"}}
    shop.deliver(
        [("1", "2024-10-27 02:30"), ("2", "2024-03-31 02:30"), ("3", "2024-07-01T12:00:00Z")]
    )
    result = shop.run(columns=columns, zone="Europe/Berlin")
    stored = shop.table("silver.readings").selectExpr("id", "CAST(v AS string)").collect()
    assert {tuple(row) for row in stored} == {
        (1, "2024-10-27 00:30:00"), (3, "2024-07-01 12:00:00"),
    }  # fmt: skip
    assert result.details["reasons"] == {"readings": {"cast:v": 1}}
    assert result.details["zones"] == {
        "readings.v": {"zone": "Europe/Berlin", "values": 2, "twice": 1}
    }
    assert result.details["notes"] == [
        "readings.v: 1 times are of an hour that came twice, when clocks were put back, and don't "
        "say of which; the first was taken"
    ]
