import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import FeedError, SchemaError, TableNotFound, VersionNotFound
from pipelines.lake.snapshot import Snapshot, take_snapshot
from pipelines.lake.storage import TableFiles


def write(path: Path, rows: int, start: int = 0, mode: str = "append", **options) -> None:
    from deltalake import write_deltalake

    table = pa.table(
        {
            "_position": pa.array(range(start, start + rows), pa.int64()),
            "_split": ["train" if i % 3 else "test" for i in range(rows)],
            "x": pa.array(np.arange(rows), pa.float32()),
        }
    )
    write_deltalake(str(path), table, mode=mode, partition_by=["_split"], **options)


def live_rows(snapshot: Snapshot) -> dict[str, list[int]]:
    """The live rows of each file, by their index in the file."""
    files = TableFiles(snapshot.table)
    found = {}
    for file in snapshot.files:
        rows = np.arange(file.num_stored_rows)
        if file.deletion_vector:
            rows = np.delete(rows, file.deletion_vector.deleted_rows(files))
        assert len(rows) == file.num_rows
        found[file.path] = rows.tolist()
    return found


def live_rows_of_spark(spark, path: Path, version: int, where: str = "true") -> dict:
    from pyspark.sql import functions as F

    df = spark.read.format("delta").option("versionAsOf", str(version)).load(str(path)).where(where)
    rows = df.select(
        F.col("_metadata.file_path").alias("file"), F.col("_metadata.row_index").alias("row")
    )
    found: dict[str, list[int]] = {}
    for row in rows.collect():
        name = unquote(row["file"]).split(f"{path.name}/", 1)[1]
        found.setdefault(name, []).append(row["row"])
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.mark.spark
def test_agrees_with_spark_at_every_version_of_a_busy_table(spark, tmp_path):
    path = tmp_path / "busy"
    where = f"delta.`{path}`"
    spark.sql(
        f"CREATE TABLE {where} (_position BIGINT, _split STRING, x FLOAT) USING delta "
        "PARTITIONED BY (_split) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', "
        "'delta.checkpointInterval' = '4')"
    )

    def append(start: int, stop: int) -> None:
        df = spark.range(start, stop, 1, 2).selectExpr(
            "id AS _position", "if(id % 3 = 0, 'a b', 'train') AS _split", "float(id) AS x"
        )
        df.write.format("delta").mode("append").save(str(path))

    append(0, 1000)
    append(1000, 1500)
    spark.sql(f"DELETE FROM {where} WHERE _position % 7 = 0")
    spark.sql(f"DELETE FROM {where} WHERE _position % 11 = 0")
    spark.sql(f"UPDATE {where} SET x = -1 WHERE _position BETWEEN 100 AND 200")
    spark.sql(f"OPTIMIZE {where} WHERE _split = 'a b'")
    append(1500, 1600)
    spark.sql(f"DELETE FROM {where} WHERE _position < 40")
    spark.sql(f"DELETE FROM {where} WHERE _split = 'a b'")
    append(1600, 1601)

    newest = take_snapshot(str(path)).version
    assert newest >= 10
    assert list((path / "_delta_log").glob("*.checkpoint.parquet"))
    for version in range(newest + 1):
        snapshot = take_snapshot(str(path), version)
        assert live_rows(snapshot) == live_rows_of_spark(spark, path, version), version
    train = take_snapshot(f"file://{path}", 6, where={"_split": "train"})
    assert live_rows(train) == live_rows_of_spark(spark, path, 6, "_split = 'train'")
    assert {file.partition_values["_split"] for file in train.files} == {"train"}
    smallest = {
        row["name"]: row["least"]
        for row in spark.sql(
            f"SELECT substring_index(_metadata.file_path, '/', -1) AS name, min(_position) AS least"
            f" FROM {where} VERSION AS OF 1 GROUP BY 1"
        ).collect()
    }
    found = take_snapshot(str(path), 1).files
    assert {file.path.split("/")[-1]: file.min_position for file in found} == smallest


@pytest.mark.spark
@pytest.mark.parametrize(
    "deleted",
    [
        "id % 2 = 0",  # dense: bitmap containers
        "id BETWEEN 70000 AND 160000",  # runs
        "id IN (3, 65535, 65536, 299999)",  # arrays, at the borders of containers
        "id % 2 = 0 OR id BETWEEN 131072 AND 200000 OR id = 65537",
    ],
)
def test_reads_every_form_of_a_deletion_vector(spark, tmp_path, deleted):
    path = tmp_path / "large"
    df = spark.range(0, 300_000, 1, 1)
    df.write.format("delta").option("delta.enableDeletionVectors", "true").save(str(path))
    spark.sql(f"DELETE FROM delta.`{path}` WHERE {deleted}")
    (file,) = take_snapshot(str(path)).files
    assert file.deletion_vector is not None
    rows = file.deletion_vector.deleted_rows(TableFiles(str(path)))
    expected = [row["id"] for row in df.where(deleted).sort("id").collect()]
    assert rows.tolist() == expected
    assert file.num_rows == 300_000 - len(expected)


def test_agrees_with_delta_rs(tmp_path):
    from deltalake import DeltaTable

    for start in (0, 100, 200):
        write(tmp_path / "t", 100, start)
    DeltaTable(tmp_path / "t").optimize.compact()
    DeltaTable(tmp_path / "t").create_checkpoint()
    write(tmp_path / "t", 5, 300)
    for version in range(5):
        theirs = DeltaTable(tmp_path / "t", version=version)
        actions = pa.table(theirs.get_add_actions(flatten=True)).to_pydict()
        ours = take_snapshot(str(tmp_path / "t"), version)
        assert {f.path: (f.num_rows, f.min_position) for f in ours.files} == {
            path: (rows, least)
            for path, rows, least in zip(
                actions["path"], actions["num_records"], actions["min._position"], strict=True
            )
        }


def test_survives_the_round_trip_through_json(tmp_path):
    write(tmp_path / "t", 10)
    snapshot = take_snapshot(str(tmp_path / "t"), 0, where={"_split": "train"})
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert (snapshot.num_rows, snapshot.version) == (6, 0)


def test_refuses_an_unknown_format_version(tmp_path):
    write(tmp_path / "t", 10)
    text = take_snapshot(str(tmp_path / "t")).to_json()
    with pytest.raises(FeedError, match="format version 99; expected 1 or 2"):
        Snapshot.from_json(text.replace('"format_version":1', '"format_version":99'))


def test_takes_rows_and_position_from_footers_where_the_log_has_no_statistics(tmp_path):
    write(tmp_path / "t", 10, start=70)
    expected = take_snapshot(str(tmp_path / "t"))
    log = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            del action["add"]["stats"]
    log.write_text("\n".join(json.dumps(action) for action in actions))
    assert take_snapshot(str(tmp_path / "t")) == expected
    assert expected.num_rows == 10
    assert sorted(file.min_position for file in expected.files) == [70, 71]


def with_protocol(path: Path, protocol: dict, **configuration: str) -> None:
    write(path, 10)
    log = path / "_delta_log" / f"{1:020}.json"
    first = (path / "_delta_log" / f"{0:020}.json").read_text().splitlines()
    metadata = next(json.loads(line) for line in first if "metaData" in json.loads(line))
    metadata["metaData"]["configuration"] = configuration
    log.write_text(json.dumps({"protocol": protocol}) + "\n" + json.dumps(metadata))


def test_refuses_a_reader_feature_it_does_not_know_by_name(tmp_path):
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["variantType"]}
    with_protocol(tmp_path / "t", protocol)
    with pytest.raises(FeedError, match=r"reader feature 'variantType'.*honours.*DROP FEATURE"):
        take_snapshot(str(tmp_path / "t"))
    assert take_snapshot(str(tmp_path / "t"), 0).num_rows == 10


def test_names_the_versions_that_are_there(tmp_path):
    write(tmp_path / "t", 10)
    with pytest.raises(VersionNotFound, match="at version 3: its log tells version 0"):
        take_snapshot(str(tmp_path / "t"), 3)
    with pytest.raises(TableNotFound, match="no Delta table at"):
        take_snapshot(str(tmp_path / "elsewhere"))


def test_says_so_when_the_log_of_an_old_version_was_cleaned_away(tmp_path):
    from deltalake import DeltaTable

    for start in (0, 10, 20):
        write(tmp_path / "t", 10, start)
    DeltaTable(tmp_path / "t").create_checkpoint()
    for version in (0, 1):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    assert take_snapshot(str(tmp_path / "t"), 2).num_rows == 30
    with pytest.raises(VersionNotFound, match="at version 1: its log tells version 2"):
        take_snapshot(str(tmp_path / "t"), 1)


def test_refuses_to_filter_by_what_is_no_partition_column(tmp_path):
    write(tmp_path / "t", 10)
    with pytest.raises(SchemaError, match=r"not partitioned by '_slit'.*Did you mean '_split'"):
        take_snapshot(str(tmp_path / "t"), where={"_slit": "train"})
