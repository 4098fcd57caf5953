"""What a kill leaves of a table that was being made, and other files that end in their midst."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.errors import LakeError, TableNotFound
from pipelines.explore import Explorer
from pipelines.lake import files
from pipelines.lake.delta_log import holds_version
from pipelines.lake.merge import MergeBy, insert_new, upsert
from pipelines.lake.read import latest_version, read_at, table_exists
from pipelines.lake.rows import rows_of
from pipelines.lake.write import append_once, create_if_absent, replace_slice
from pipelines.maintenance.vacuum import tables_of
from tests.lakes import leave_unmade

FIRST = f"{0:020d}.json"


def test_a_log_makes_a_table_by_a_commit_or_a_checkpoint():
    assert holds_version([FIRST])
    assert holds_version([f"{7:020d}.checkpoint.parquet"])
    assert not holds_version([])
    assert not holds_version(["_commits", f".{FIRST}.1f-2.tmp", f"{0:020d}.crc"])


def writes(df, lake):
    by = MergeBy(key=["k"], order_by=["k"], content=["k"])
    return {
        "bronze.appended": lambda table: append_once(df, lake, table, "test", 0),
        "gold.replaced": lambda table: replace_slice(df, lake, table, "true"),
        "silver.merged": lambda table: upsert(df, lake, table, by),
        "predictions.inserted": lambda table: insert_new(df, lake, table, ["k"]),
    }


@pytest.mark.spark
def test_every_write_makes_the_table_that_a_kill_left_unmade(spark, lake):
    df = spark.range(3).withColumnRenamed("id", "k")
    made = []
    for table, write in writes(df, lake).items():
        leave_unmade(lake, table)
        assert not table_exists(spark, lake, table)
        with pytest.raises(TableNotFound):
            latest_version(spark, lake, table)
        assert tables_of(spark, lake) == sorted(made)
        assert rows_of(lake, table) == []
        with pytest.raises(TableNotFound):
            Explorer(None, lake, spark).history(table)
        write(table)
        made.append(table)
        version = latest_version(spark, lake, table)
        assert read_at(spark, lake, table, version).count() == 3
        leave_unmade(lake, table)  # leftovers of a later commit are nobody's business
        assert table_exists(spark, lake, table)
        write(table)
        assert len(rows_of(lake, table)) == 3


@pytest.mark.spark
def test_a_table_that_lost_its_first_commits_to_a_checkpoint_is_one(spark, lake):
    df = spark.range(3)
    for number in range(3):
        append_once(df, lake, "bronze.old", "test", number)
    spark.sql(f"ALTER TABLE delta.`{lake.path('bronze.old')}` SET TBLPROPERTIES ('a'='b')")
    log = Path(lake.path("bronze.old"), "_delta_log")
    (log / FIRST).unlink()
    assert table_exists(spark, lake, "bronze.old")


@pytest.mark.spark
def test_rows_that_no_commit_names_are_not_covered_by_a_new_table(spark, lake):
    df = spark.range(3)
    append_once(df, lake, "silver.lost", "test", 0)
    place = Path(lake.path("silver.lost"))
    shutil.rmtree(place / "_delta_log")
    (place / "_delta_log").mkdir()
    kept = sorted(place.glob("*.parquet"))
    with pytest.raises(LakeError) as error:
        create_if_absent(spark, lake, "silver.lost", df.schema)
    assert "is no Delta table, but it is not empty: it holds" in str(error.value)
    assert "bring that back from a copy; else move the folder away" in str(error.value)
    assert sorted(place.glob("*.parquet")) == kept


@pytest.mark.spark
def test_a_torn_note_is_told_with_what_its_deletion_brings(spark, lake):
    place = f"{lake.root}/_runs/one/score.json"
    assert files.read_json(spark, place, "nothing is lost") is None
    files.write_text(spark, place, '{"a": 1}')
    assert files.read_json(spark, place, "nothing is lost") == {"a": 1}
    for content in (b"", b'{"a": ', b"\xff\xfe"):
        files.write_bytes(spark, place, content)
        with pytest.raises(LakeError) as error:
            files.read_json(spark, place, "nothing is lost")
        assert f"{place} is torn: its {len(content)} bytes are no JSON" in str(error.value)
        assert str(error.value).endswith("run the same command again: nothing is lost.")
