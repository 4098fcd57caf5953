"""The feed on real Delta tables, written by Spark and changed by it while an epoch is read."""

from pathlib import Path

import pytest

from pipelines.errors import FeedError
from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import open_table
from pipelines.feed.plan import plan_epoch
from pipelines.feed.reader import PetastormReader
from pipelines.lake.snapshot import Snapshot, take_snapshot

pytestmark = pytest.mark.spark

COLUMNS = FeedColumns(numeric=("x",), keys=("_position",))


@pytest.fixture(scope="module")
def table(spark, tmp_path_factory) -> Path:
    """Version 3: 4,000 rows in two splits, unequal files, some rows deleted by vectors."""
    path = tmp_path_factory.mktemp("feed") / "training"
    df = spark.range(0, 4000, 1, 2).selectExpr(
        "if(id % 4 = 0, 'test', 'train') AS _split",
        "id AS _position",
        "float(id * 0.5) AS x",
        "float(id % 2) AS _label",
    )
    options = {"delta.enableDeletionVectors": "true", "parquet.block.size": "4096"}
    writer = df.where("_position < 3000").write.format("delta").options(**options)
    writer.partitionBy("_split").save(str(path))
    df.where("_position >= 3000").coalesce(1).write.format("delta").mode("append").save(str(path))
    spark.sql(f"DELETE FROM delta.`{path}` WHERE _position % 10 = 3")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE _position BETWEEN 500 AND 900")
    return path


_truth: dict[int, list[int]] = {}


def truth(spark, path: Path, version: int) -> list[int]:
    """The positions in the split `train`, as Spark reads them (asked once a version)."""
    if version not in _truth:
        _truth[version] = ask_spark(spark, path, version)
    return _truth[version]


def ask_spark(spark, path: Path, version: int) -> list[int]:
    rows = spark.read.format("delta").option("versionAsOf", str(version)).load(str(path))
    return sorted(row[0] for row in rows.where("_split = 'train'").select("_position").collect())


def read(snapshot: Snapshot, size: int = 1, between=lambda: None) -> list[int]:
    """Read an epoch over `size` ranks; `between` is called after each rank's first chunk."""
    plan = plan_epoch(snapshot, seed=1, epoch=0, global_batch_size=100, window_rows=256)
    positions: list[int] = []
    for rank in range(size):
        mine = plan.for_rank(rank, size)
        reader = PetastormReader(mine, COLUMNS)
        try:
            for number, chunk in enumerate(chunks(mine, COLUMNS, reader)):
                assert (chunk["numeric"][:, 0] == chunk["_position"] * 0.5).all()
                positions.extend(chunk["_position"].tolist())
                if number == 0:
                    between()
        finally:
            reader.close()
    return sorted(positions)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("version", [1, 3])
def test_ranks_read_the_live_rows_of_the_version_once(spark, table, version, size):
    snapshot = take_snapshot(str(table), version, where={"_split": "train"})
    assert read(snapshot, size) == truth(spark, table, version)


def test_the_version_holds_while_the_table_is_changed(spark, table):
    snapshot = take_snapshot(str(table), 3, where={"_split": "train"})
    expected = truth(spark, table, 3)
    name = f"delta.`{table}`"
    changes = iter(
        [
            f"INSERT INTO {name} SELECT 'train', 5000 + id, 0F, 0F FROM range(500)",
            f"DELETE FROM {name} WHERE _position % 2 = 0",
            f"UPDATE {name} SET x = -1 WHERE _position % 3 = 0",
            f"OPTIMIZE {name}",
        ]
    )
    assert read(snapshot, 4, between=lambda: spark.sql(next(changes))) == expected
    assert next(changes, None) is None
    assert take_snapshot(str(table)).version > 5
    assert read(snapshot) == expected == ask_spark(spark, table, 3)


def test_a_vacuum_that_removes_files_of_the_version_is_an_error(spark, table):
    snapshot = take_snapshot(str(table), 3, where={"_split": "train"})
    spark.sql(f"OPTIMIZE delta.`{table}`")
    settings = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        # VACUUM lists folders in this many tasks, 10,000 by default.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        spark.sql(f"VACUUM delta.`{table}` RETAIN 0 HOURS")
    finally:
        for key in settings:
            spark.conf.unset(key)
    with pytest.raises(FeedError) as raised:
        read(snapshot)
    message = str(raised.value)
    assert f"{table} lacks a file of version 3: " in message
    assert any(file.path in message or "deletion_vector" in message for file in snapshot.files)


@pytest.mark.tensorflow
@pytest.mark.parametrize("policy", ["classic", "v2"])
def test_a_notebook_reads_the_rows_that_spark_reads(spark, tmp_path, policy):
    path = tmp_path / "busy"
    where = f"delta.`{path}`"
    spark.sql(
        f"CREATE TABLE {where} (_position BIGINT, airline INT, x FLOAT, _label FLOAT) USING delta "
        "PARTITIONED BY (airline) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', "
        f"'delta.checkpointInterval' = '3', 'delta.checkpointPolicy' = '{policy}')"
    )
    for start in (0, 300, 600):
        spark.range(start, start + 300, 1, 1).selectExpr(
            "id AS _position", "int(id % 3) AS airline", "float(id) AS x", "float(id % 2) AS _label"
        ).write.format("delta").mode("append").save(str(path))
    spark.sql(f"DELETE FROM {where} WHERE _position % 7 = 0")
    spark.sql(f"UPDATE {where} SET x = -x WHERE _position % 5 = 0")
    kind = "*.checkpoint.parquet" if policy == "classic" else "*.checkpoint.*-*.*"
    assert list((path / "_delta_log").glob(kind))
    newest = take_snapshot(str(path)).version
    columns = FeedColumns(numeric=("x",), category=("airline",), keys=("_position",))
    for version in (2, newest - 1, newest):
        found = []
        for x, y in open_table(str(path), columns, version, batch_size=100):
            values = (x["_position"], x["category"][:, 0])
            rows = [*values, x["numeric"][:, 0], y]
            found.extend(zip(*(one.numpy().tolist() for one in rows), strict=True))
        theirs = spark.read.format("delta").option("versionAsOf", str(version)).load(str(path))
        assert sorted(found) == sorted(map(tuple, theirs.collect())), version
