"""Tables whose columns have other names in their files."""

import json

import numpy as np
import pyarrow as pa
import pytest
from tensorflow import errors

from pipelines.erasure.files import files_holding
from pipelines.erasure.search import Search
from pipelines.erasure.subject import Subject
from pipelines.errors import FeedError
from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import open_table
from pipelines.lake.catalog import Lake
from pipelines.lake.rows import rows_of
from pipelines.lake.snapshot import Snapshot, take_snapshot
from tests.lake.logs import add, column, commit, data, metadata


def mapped(name: str, physical: str, number: int, type: str = "float") -> dict:
    return column(
        name,
        type,
        **{"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical},
    )


PROTOCOL = {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}
# Two columns whose names were swapped: what the files call `a` is now `b`.
SWAPPED = (
    mapped("b", "a", 1),
    mapped("a", "b", 2),
    mapped("_position", "col-p", 3, "long"),
    mapped("day", "col-d", 4, "string"),
)


def swapped(path, mode, names=("a", "b", "col-p"), ids=(1, 2, 3), stats=None):
    rows = {
        names[0]: pa.array([1, 2], pa.float32()),
        names[1]: pa.array([10, 20], pa.float32()),
        names[2]: pa.array([5, 6], pa.int64()),
    }
    data(path, "f.parquet", rows, ids)
    configuration = {"delta.columnMapping.mode": mode}
    meta = metadata(*SWAPPED, partitioned_by=["day"], configuration=configuration)
    commit(path, 0, PROTOCOL, meta, add("f.parquet", stats, **{"col-d": "monday"}))
    return str(path)


def read(place):
    columns = FeedColumns(numeric=["a", "b"], label=None, keys=["_position"])
    (batch,) = list(open_table(place, columns, where={"day": "monday"}))
    return {name: value.numpy().tolist() for name, value in batch.items()}


EXPECTED = {"numeric": [[10, 1], [20, 2]], "_position": [5, 6]}


def test_columns_are_found_by_their_physical_names(tmp_path):
    assert read(swapped(tmp_path / "t", "name", ids=())) == EXPECTED


def test_columns_are_found_by_their_ids_whatever_the_file_calls_them(tmp_path):
    assert read(swapped(tmp_path / "t", "id", names=("b", "a", "q"))) == EXPECTED


def test_a_file_without_ids_is_refused_in_mode_id(tmp_path):
    with pytest.raises(errors.UnknownError, match=r"FeedError: f\.parquet .* has no column 'a'"):
        read(swapped(tmp_path / "t", "id", ids=()))


def test_statistics_and_partitions_go_by_physical_names_and_are_told_by_the_tables(tmp_path):
    stats = {"numRecords": 2, "minValues": {"col-p": 5}}
    for mode in ("name", "id"):
        told = take_snapshot(swapped(tmp_path / f"told {mode}", mode, stats=stats))
        counted = take_snapshot(swapped(tmp_path / f"counted {mode}", mode))
        assert told.files == counted.files
        (file,) = told.files
        assert (file.num_rows, file.min_position) == (2, 5)
        assert file.partition_values == {"day": "monday"}
    assert take_snapshot(told.table, where={"day": "friday"}).files == ()


def test_a_kept_snapshot_keeps_the_mapping_and_older_releases_refuse_it(tmp_path):
    snapshot = take_snapshot(swapped(tmp_path / "t", "id"))
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    assert json.loads(snapshot.to_json())["format_version"] == 2


def test_small_tables_are_read_by_their_own_names(tmp_path):
    swapped(tmp_path / "gold" / "t", "name")
    assert rows_of(Lake(str(tmp_path)), "gold.t", columns=["b", "day"]) == [
        {"b": 1, "day": "monday"},
        {"b": 2, "day": "monday"},
    ]


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(FeedError, match=r"columnMapping \(mode other\)"):
        take_snapshot(swapped(tmp_path / "t", "other"))


def test_a_column_that_was_widened_is_read_from_old_and_new_files(tmp_path):
    features = ["typeWidening"]
    protocol = {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": features,
            "writerFeatures": features,
        }
    }
    data(tmp_path, "old", {"x": pa.array([1, -2], pa.int8()), "k": pa.array([1, 2], pa.int16())})
    data(tmp_path, "new", {"x": pa.array([0.5], pa.float64()), "k": pa.array([2**40], pa.int64())})
    schema = metadata(column("x", "double"), column("k", "long"))
    commit(tmp_path, 0, protocol, schema, add("old"), add("new"))
    (batch,) = open_table(tmp_path, FeedColumns(numeric=["x"], keys=["k"], label=None))
    found = zip(batch["k"].numpy(), batch["numeric"].numpy()[:, 0], strict=True)
    assert sorted(found) == [(1, 1), (2, -2), (2**40, 0.5)]


@pytest.mark.spark
def test_tables_that_spark_renamed_and_dropped_columns_of_are_read_right(spark, tmp_path):
    columns = FeedColumns(numeric=["c", "a b"], arrays=(), label=None, keys=["_position"])
    for mode in ("name", "id"):
        place = str(tmp_path / mode)
        table = f"delta.`{place}`"
        spark.sql(
            f"CREATE TABLE {table} (_position BIGINT, `a b` FLOAT, b FLOAT, gone FLOAT, "
            "s STRUCT<v: INT>, `day (of week)` STRING) USING delta "
            "PARTITIONED BY (`day (of week)`) TBLPROPERTIES ("
            f"'delta.columnMapping.mode' = '{mode}', 'delta.enableDeletionVectors' = 'true', "
            "'delta.checkpointInterval' = '3')"
        )
        rows = (
            "SELECT id, float(id * 2), float(id * 3), float(0), named_struct('v', int(id)), "
            "if(id % 2 = 0, 'even', 'odd') FROM range({}, {}, 1, 1)"
        )
        spark.sql(f"INSERT INTO {table} {rows.format(0, 40)}")
        spark.sql(f"ALTER TABLE {table} RENAME COLUMN b TO c")
        spark.sql(f"ALTER TABLE {table} DROP COLUMN gone")
        spark.sql(f"ALTER TABLE {table} ADD COLUMN gone FLOAT")
        spark.sql(f"ALTER TABLE {table} RENAME COLUMN `day (of week)` TO day")
        spark.sql(f"DELETE FROM {table} WHERE _position IN (4, 6, 7)")
        three = Search(Subject.of(["c=9"], []), ("c",))
        held = files_holding(spark, place, three)
        assert held
        assert held <= {file.path for file in take_snapshot(place, where={"day": "odd"}).files}
        snapshot = take_snapshot(place, where={"day": "even"})
        assert {file.partition_values["day"] for file in snapshot.files} == {"even"}
        assert [file.min_position for file in snapshot.files] == [0]
        batches = list(open_table(place, columns, where={"day": "even"}, seed=3))
        positions = np.concatenate([one["_position"].numpy() for one in batches])
        numbers = np.concatenate([one["numeric"].numpy() for one in batches])
        assert sorted(positions) == [at for at in range(0, 40, 2) if at not in (4, 6)]
        assert (numbers == np.stack([positions * 3, positions * 2], axis=1)).all()
        with pytest.raises(errors.UnknownError, match=r"FeedError: .* has no column 'gone'"):
            list(open_table(place, FeedColumns(numeric=["gone"], label=None)))
