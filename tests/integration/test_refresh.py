"""`featurize` where silver changes behind it: late, corrected and deleted rows reach gold."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from contextlib import ExitStack

import pytest
from chispa import assert_df_equality
from delta.tables import DeltaTable

from pipelines.features.query import Span, SqlFile, Tables, run_sql
from pipelines.lake.catalog import Lake
from pipelines.lake.changes import FEED, switch_on_feed
from pipelines.lake.merge import MergeBy, upsert
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import create_if_absent
from pipelines.runner import open_run, run_stage
from pipelines.stages import featurize
from tests.integration.conftest import sales_pipeline

pytestmark = pytest.mark.spark

ITEMS = ("a", "b", "c")
SQL = """
WITH near AS (
  SELECT * FROM silver.sales WHERE day BETWEEN :since - INTERVAL 2 DAYS AND :until
)
SELECT s.day, s.item, s.n, i.weight, sum(p.n) AS recent, timestamp(s.day) AS prediction_at
FROM near AS s
JOIN near AS p ON p.item = s.item AND p.day BETWEEN s.day - INTERVAL 2 DAYS AND s.day
LEFT JOIN silver.items AS i ON i.name = s.item
WHERE s.day BETWEEN :since AND :until
GROUP BY s.day, s.item, s.n, i.weight
"""
SOURCES = {
    "silver.sales": {"date": "day", "lookback": 2},
    "silver.items": {"through": "silver.sales", "by": {"name": "item"}},
}


def day(number: int) -> dt.date:
    return dt.date(2024, 1, 1) + dt.timedelta(days=number - 1)


class Shop:
    """A lake with silver.sales and silver.items, of which gold.sales is made."""

    def __init__(self, spark, lake, folder):
        self.spark, self.lake, self.folder, self.told = spark, lake, folder, []

    def make_tables(self):
        spark, lake = self.spark, self.lake
        for name, schema in (("sales", "day date, item string, n int"), ("items", ITEM)):
            empty = spark.createDataFrame([], schema)
            create_if_absent(spark, lake, f"silver.{name}", empty.schema)
            empty.write.format("delta").mode("append").save(lake.path(f"silver.{name}"))

    def run(self, *, date=None, since=None, run_id=None, sql=SQL, sources=SOURCES):
        reads = {"silver.sales": "timestamp(day)", "silver.items": "timestamp(0)"}
        pipeline = sales_pipeline(self.folder, self.lake, sql, reads=reads, sources=sources)
        self.told = []
        run = open_run(
            pipeline,
            date=date,
            since=since,
            run_id=run_id,
            spark=self.spark,
            progress=lambda event: self.told.append(event.get("text", "")),
        )
        return run_stage("featurize", run)

    def change(self, statement, **names):
        """Run an SQL statement in which {sales} and {items} stand for the tables."""
        paths = {name: f"delta.`{self.lake.path(f'silver.{name}')}`" for name in ("sales", "items")}
        self.spark.sql(statement.format(**paths, **names))

    def sell(self, *rows):
        """Insert or correct sales, as `clean` does."""
        df = self.spark.createDataFrame(list(rows), "day date, item string, n int")
        key = ("day", "item")
        upsert(df, self.lake, "silver.sales", MergeBy(key, ("n",), ("n",)))

    def silver(self, name="sales"):
        return self.spark.read.format("delta").load(self.lake.path(f"silver.{name}"))

    def gold(self):
        version = latest_version(self.spark, self.lake, "gold.sales")
        return read_at(self.spark, self.lake, "gold.sales", version)

    def files(self):
        """Return gold's live files by day."""
        snapshot = take_snapshot(self.lake.path("gold.sales"))
        return {file.path.split("/")[0].removeprefix("day="): file.path for file in snapshot.files}

    def check(self, until=40):
        """Hold gold to what a full computation gives for the days up to one."""
        session = self.spark.newSession()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        tables = Tables(
            {
                f"silver.{name}": session.read.format("delta").load(
                    self.lake.path(f"silver.{name}")
                )
                for name in ("sales", "items")
            }
        )
        with ExitStack() as keep:
            whole = run_sql([SqlFile("f", SQL)], tables, Span(day(1), day(40)), keep)
            expected = whole.where(f"day <= DATE'{day(until)}'")
            columns = whole.columns
            assert_df_equality(
                self.gold().select(columns).orderBy("day", "item"),
                expected.orderBy("day", "item"),
                ignore_nullable=True,
            )


ITEM = "name string, weight int"


@pytest.fixture(scope="module")
def prepared(spark, tmp_path_factory):
    """Lakes to copy: with silver alone, and with gold made of it once."""
    folder = tmp_path_factory.mktemp("refresh")
    lakes = {name: Lake(str(folder / name)) for name in ("silver", "gold")}
    shop = Shop(spark, lakes["silver"], folder)
    shop.make_tables()
    shop.change("INSERT INTO {items} VALUES ('a', 1), ('b', 2)")
    shop.sell(*((day(n), item, n) for n in range(1, 13) for item in "ab"))
    shutil.copytree(lakes["silver"].root, lakes["gold"].root)
    Shop(spark, lakes["gold"], folder).run()
    return lakes


@pytest.fixture
def shop(spark, lake, tmp_path, prepared):
    """Twelve days of sales, of which nothing is made yet."""
    shutil.copytree(prepared["silver"].root, lake.root)
    return Shop(spark, lake, tmp_path)


@pytest.fixture
def made(spark, lake, tmp_path, prepared):
    """Twelve days of sales, and gold of all of them."""
    shutil.copytree(prepared["gold"].root, lake.root)
    return Shop(spark, lake, tmp_path)


def days_of(result):
    return [tuple(one) for one in result.details.get("made_again", [])]


def test_after_changes_of_every_kind_gold_equals_a_full_recompute(shop):
    chance = random.Random(5)
    first = shop.run()
    assert (first.counts["days"], "note" in first.details) == (12, False)

    def some():
        return day(chance.randint(1, 14)), chance.choice(ITEMS), chance.randint(1, 99)

    def sell():
        shop.sell(*{one[:2]: one for one in (some() for _ in range(4))}.values())

    def of_a_day(statement):
        shop.change(f"{statement} WHERE day = DATE'{some()[0]}'")

    sell()  # late and corrected rows
    of_a_day("DELETE FROM {sales}")
    shop.run(date=day(14))
    shop.check()
    of_a_day("UPDATE {sales} SET n = n + 1")
    of_a_day("UPDATE {sales} SET day = DATE'2024-01-17'")  # both days are touched
    shop.change("UPDATE {items} SET weight = weight + 1 WHERE name = 'b'")
    shop.change("INSERT INTO {items} VALUES ('c', 3)")
    shop.run()
    shop.check()
    sell()
    of_a_day("DELETE FROM {sales}")
    shop.run()
    assert not any("all days" in told for told in shop.told)
    shop.check()


def test_only_the_days_that_a_change_touches_are_written(made):
    before = made.files()
    assert len(before) == 12
    made.sell((day(4), "a", 50))
    result = made.run()
    assert days_of(result) == [("2024-01-04", "2024-01-06")]
    changed = {name for name, file in made.files().items() if before[name] != file}
    assert changed == {"2024-01-04", "2024-01-05", "2024-01-06"}
    made.check()

    version = latest_version(made.spark, made.lake, "gold.sales")
    idle = made.run()
    assert (idle.counts["rows_out"], idle.written) == (0, {"gold.sales": version})
    assert idle.details == {"note": "nothing that the features are made from has changed"}

    # A run of a day brings along what has changed before it, and nothing after it that is not made.
    made.sell((day(2), "b", 70), (day(13), "a", 1), (day(14), "a", 1))
    result = made.run(date=day(13))
    assert days_of(result) == [("2024-01-02", "2024-01-04")]
    assert result.details["ranges"] == [["2024-01-02", "2024-01-04"], ["2024-01-13", "2024-01-13"]]
    made.check(13)


def test_late_rows_of_a_day_that_was_made_empty_are_made_while_the_table_has_no_rows_yet(shop):
    shop.run(date=day(14))  # before any sale of that day, in an empty table
    shop.sell((day(14), "a", 50))
    shop.run(date=day(16))
    assert [row["n"] for row in shop.gold().collect()] == [50]


def test_a_retry_reads_what_its_run_resolved_and_the_next_run_mends_what_it_put_back(made):
    made.sell((day(5), "a", 50))
    made.run(run_id="one")
    at_first = made.gold().orderBy("day", "item").collect()
    made.sell((day(5), "a", 60))
    made.run(run_id="two")
    again = made.run(run_id="one")
    assert days_of(again) == [("2024-01-05", "2024-01-07")]
    assert made.gold().orderBy("day", "item").collect() == at_first
    made.run()
    made.check()


class Stopped(Exception):
    pass


def test_two_runs_at_once_without_a_lock_lose_no_change(made, monkeypatch):
    """One writes a new day from older tables while the other one, which saw newer ones, computes.

    The newer run has not seen the new day, so it does not make it again. What has changed behind
    that day is found by the next run all the same.
    """
    look, make = featurize._look, featurize.make_days
    monkeypatch.setattr("pipelines.runner.one_at_a_time", lambda *_: ExitStack())

    def what_a_run_sees():
        seen = []

        def stop(*given):
            seen.append(look(*given))
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(featurize, "_look", stop)
            with pytest.raises(Stopped):
                made.run()
        return seen[0]

    def run(day, seen):
        with monkeypatch.context() as patch:
            patch.setattr(featurize, "_look", lambda *_: seen)
            made.run(date=day)

    def make_after_the_older_run(*given):
        monkeypatch.setattr(featurize, "make_days", make)
        run(day(20), older)
        return make(*given)

    made.sell((day(20), "a", 1))
    older = what_a_run_sees()
    made.sell((day(20), "a", 2))
    newer = what_a_run_sees()
    monkeypatch.setattr(featurize, "make_days", make_after_the_older_run)
    run(day(5), newer)
    assert made.gold().where("n = 1 AND day = DATE'2024-01-20'").count() == 1
    made.run()
    made.check()


def test_where_the_feed_does_not_tell_all_days_are_made_again_and_it_is_said_why(made, caplog):
    def comes_up_to_date(why):
        caplog.clear()
        result = made.run(date=day(12))
        assert f"all days are made again: {why}" in caplog.text
        assert result.details["since"] == "2024-01-01"
        made.check()

    made.change(f"ALTER TABLE {{sales}} SET TBLPROPERTIES ('{FEED}' = 'false')")
    made.sell((day(3), "a", 30))
    comes_up_to_date("silver.sales has no change feed from version 2 to 3: ")

    assert switch_on_feed(made.spark, made.lake, "silver.sales")
    assert not switch_on_feed(made.spark, made.lake, "silver.sales")
    made.run(date=day(12))
    made.change("UPDATE {sales} SET n = n + 1 WHERE day = DATE'2024-01-03'")
    shutil.rmtree(made.folder / "lake/silver/sales/_change_data")  # as a vacuum may
    comes_up_to_date("the change feed of silver.sales can't be read: ")

    DeltaTable.forPath(made.spark, made.lake.path("gold.sales")).restoreToVersion(1)
    comes_up_to_date(
        "it is not known what they were made from, as version 5 (RESTORE) of gold.sales does not"
    )

    old = [tuple(row) for row in made.silver().collect()]
    shutil.rmtree(made.lake.path("silver.sales"))
    made.make_tables()
    made.sell(*old, (day(3), "c", 30))
    comes_up_to_date("silver.sales was made anew")


def test_other_queries_and_changes_that_touch_any_day_make_all_days_again(made, caplog):
    made.run(sql=SQL.replace("sum(p.n)", "sum(p.n + 0)"))
    assert "all days are made again: settings, queries or code of `featurize`" in caplog.text
    sources = {**SOURCES, "silver.items": "all"}
    made.run(sources=sources)
    assert "nothing" in made.run(sources=sources).details["note"]
    caplog.clear()
    made.change("UPDATE {items} SET weight = 7")
    made.run(sources=sources)
    assert "again: silver.items has changed, which may touch any day" in caplog.text
    made.check()
    made.change("INSERT INTO {sales} VALUES (NULL, 'a', 1)")
    made.run(sources=sources)
    assert "again: silver.sales has changed, which may touch any day" in caplog.text
