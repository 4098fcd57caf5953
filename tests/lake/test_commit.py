"""Commits that lose a race, locks that are held, tables of an older release."""

from __future__ import annotations

import pytest

from pipelines.errors import CommitConflict, LockTimeout, SchemaError
from pipelines.lake.commit import with_retries
from pipelines.lake.lock import write_lock
from pipelines.lake.merge import insert_new, upsert
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.rows import rows_of
from pipelines.lake.write import append_once, replace_slice

SAID = (
    "[DELTA_CONCURRENT_APPEND] Files were added to the root of the table by a concurrent update. "
    'Please try the operation again.\nConflicting commit: {"timestamp":1357005600000,'
    '"operation":"MERGE","userMetadata":"daily-7"}\nRefer to the documentation.'
)


class Racing:
    """A write that is overtaken so many times before it comes through."""

    def __init__(self, times):
        self.times, self.tried = times, 0

    def __call__(self):
        from delta.exceptions import ConcurrentAppendException

        self.tried += 1
        if self.tried <= self.times:
            raise ConcurrentAppendException(SAID)
        return "done"


def test_a_commit_that_was_overtaken_is_tried_again_after_growing_pauses(caplog):
    pauses, write = [], Racing(3)
    assert with_retries(write, "silver.flights", pause=pauses.append) == "done"
    assert (write.tried, len(pauses)) == (4, 3)
    assert pauses[0] < pauses[1] < pauses[2]
    assert (
        "silver.flights: overtaken by a MERGE of run daily-7 at 2013-01-01 02:00:00 UTC"
        in (caplog.messages[0])
    )


def test_a_commit_that_is_always_overtaken_is_refused_and_names_the_other_one():
    with pytest.raises(CommitConflict, match=r"3 times .* a MERGE of run daily-7 .*Nothing of"):
        with_retries(Racing(9), "silver.flights", attempts=3, pause=lambda _: None)


def test_other_errors_are_not_tried_again():
    write, pauses = Racing(0), []

    def fail():
        write()
        raise ValueError("no conflict")

    with pytest.raises(ValueError, match="no conflict"):
        with_retries(fail, "silver.flights", pause=pauses.append)
    assert (write.tried, pauses) == (1, [])


def test_who_waits_too_long_for_a_table_is_told_who_holds_it(tmp_path):
    place = str(tmp_path / "silver" / "flights")
    with (
        write_lock(place, what="clean of run daily-7"),
        pytest.raises(LockTimeout, match=r"held by process \d+ \(clean of run daily-7\) for more"),
        write_lock(place, timeout=0.0),
    ):
        pass
    with write_lock(place, timeout=0.0):
        pass


@pytest.mark.spark
class TestOnTables:
    def test_every_commit_carries_its_run_and_no_other(self, spark, lake):
        """Also of two runs side by side in one session, and of what is of no run."""
        from concurrent.futures import ThreadPoolExecutor

        def work(run_id):
            for number in range(3):
                rows = spark.range(3).toDF("id")
                append_once(rows, lake.signed(run_id), f"bronze.of_{run_id}", "test", number)
                insert_new(rows, lake.signed(run_id), f"predictions.of_{run_id}", ["id"])

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, ("a", "b")))
        append_once(spark.range(3).toDF("id"), lake, "bronze.of_none", "test", 1)
        signed = {"bronze.of_a": "a", "bronze.of_b": "b", "bronze.of_none": None}
        signed |= {"predictions.of_a": "a", "predictions.of_b": "b"}
        for table, run_id in signed.items():
            history = spark.sql(f"DESCRIBE HISTORY delta.`{lake.path(table)}`").collect()
            assert {row["userMetadata"] for row in history} == {run_id}, table

    def test_what_a_user_signs_with_is_put_back(self, spark, lake):
        signs = "spark.databricks.delta.commitInfo.userMetadata"
        rows = spark.range(3).toDF("id")
        spark.conf.set(signs, "mine")
        try:
            append_once(rows, lake, "bronze.of_mine", "test", 1)
            append_once(rows, lake.signed("a"), "bronze.of_mine", "test", 2)
            assert spark.conf.get(signs) == "mine"
        finally:
            spark.conf.unset(signs)
        append_once(rows, lake, "bronze.of_mine", "test", 3)
        history = spark.sql(f"DESCRIBE HISTORY delta.`{lake.path('bronze.of_mine')}`").collect()
        found = [one["userMetadata"] for one in sorted(history, key=lambda one: one["version"])]
        assert found == ["mine", "mine", "a", None]

    def test_a_merge_that_really_conflicts_ends_as_if_it_came_second(self, spark, lake, tmp_path):
        """Two threads without the lock merge the same new keys: nothing is doubled."""
        from concurrent.futures import ThreadPoolExecutor
        from contextlib import nullcontext
        from unittest.mock import patch

        rows = spark.range(200).selectExpr("id", "id AS v")
        insert_new(rows.limit(1), lake, "predictions.p", ["id"])
        with (
            patch("pipelines.lake.commit.write_lock", lambda *_: nullcontext()),
            ThreadPoolExecutor(3) as pool,
        ):
            every = [pool.submit(insert_new, rows, lake, "predictions.p", ["id"]) for _ in range(3)]
            inserted = sum(one.result().inserted for one in every)
        assert inserted == 199
        table = read_at(spark, lake, "predictions.p", latest_version(spark, lake, "predictions.p"))
        assert table.count() == 200

    @pytest.mark.parametrize("layer", ["monitoring", "predictions"])
    def test_a_record_of_an_older_release_gains_the_new_columns(self, spark, lake, layer):
        table = f"{layer}.old"
        old = spark.createDataFrame([(1, 1.5)], "id int, v double")
        append_once(old, lake, table, "test", 1)
        new = spark.createDataFrame([(2, 2.5, "x")], "id int, v double, why string")
        if layer == "monitoring":
            append_once(new, lake, table, "test", 2)
            replace_slice(new, lake, table, "id = 2")
        else:
            insert_new(new, lake, table, ["id"])
        insert_new(old.selectExpr("3 AS id", "v"), lake, table, ["id"])
        rows = sorted(rows_of(lake, table), key=lambda row: row["id"])
        assert [(row["id"], row.get("why")) for row in rows] == [(1, None), (2, "x"), (3, None)]
        with pytest.raises(SchemaError, match="'v' is double, the rows have string"):
            append_once(new.selectExpr("id", "'x' AS v"), lake, table, "test", 3)

    def test_rows_that_were_deleted_are_not_read(self, spark, lake):
        from pipelines.lake.merge import MergeBy, delete_absent

        rows = spark.range(50).selectExpr("id", "id AS v").coalesce(1)
        by = MergeBy(["id"], ["v"], ["v"])
        upsert(rows, lake, "silver.a", by)
        delete_absent(rows.where("id < 7"), lake, "silver.a", ["id"])
        assert sorted(row["id"] for row in rows_of(lake, "silver.a")) == list(range(7))
        assert [row["id"] for row in rows_of(lake, "silver.a", columns=["id"])].count(3) == 1
        assert rows_of(lake, "silver.b") == []
