"""Arrays, sequences and images through the feed: each row once, whatever the ranks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import FeedError, SchemaError
from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns, Shaped
from pipelines.feed.dataset import make_dataset
from pipelines.feed.plan import plan_epoch, plan_evaluation
from pipelines.feed.reader import PetastormReader
from pipelines.lake.snapshot import take_snapshot
from pipelines.ranks.rank import describe
from pipelines.training.backend import TensorFlow
from tests.encoding.pictures import encoded, pattern
from tests.feed.tables import delete_rows

ARRAY, SEQUENCE, IMAGE = Shaped("curve", (3,)), Shaped("words", (2,)), Shaped("file", (4, 5, 1))
LISTS = FeedColumns(
    numeric=("a",), arrays=(ARRAY,), sequences=(SEQUENCE,), keys=("_position",)
)  # fmt: skip
ALL = FeedColumns(arrays=(ARRAY,), images=(IMAGE,), keys=("_position",))


def rows_at(positions: np.ndarray) -> pa.Table:
    curves = positions[:, None] * 2.0 + np.arange(3)
    words = positions[:, None] % 11 + np.arange(2)
    return pa.table(
        {
            "_position": pa.array(positions, pa.int64()),
            "a": pa.array(positions, pa.float32()),
            "curve": pa.array(list(curves), pa.list_(pa.float32())),
            "words": pa.array(list(words), pa.list_(pa.int32())),
            "file": pa.array([encoded(pattern(int(one))) for one in positions], pa.binary()),
            "_label": pa.array(positions % 2, pa.float32()),
        }
    )


def write(folder: Path, *tables: pa.Table) -> str:
    from deltalake import WriterProperties, write_deltalake

    for table in tables:
        properties = WriterProperties(max_row_group_size=10)
        write_deltalake(str(folder), table, mode="append", writer_properties=properties)
    return str(folder)


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Three files of 60, 5 and 30 rows, some of them deleted."""
    ends = [(0, 60), (60, 65), (65, 95)]
    path = write(tmp_path / "t", *(rows_at(np.arange(*end)) for end in ends))
    delete_rows(path, {0: [0, *range(10, 20), 33], 2: [29]})
    return path


GONE = {0, *range(10, 20), 33, 94}


def plan_of(path: str, **more):
    numbers = {"seed": 3, "epoch": 1, "global_batch_size": 16, "window_rows": 20, **more}
    return plan_epoch(take_snapshot(path), **numbers)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_lists_come_with_their_rows_each_once(table, size):
    plan, found = plan_of(table), []
    for rank in range(size):
        mine = plan.for_rank(rank, size)
        reader = PetastormReader(mine, LISTS)
        for chunk in chunks(mine, LISTS, reader):
            positions = chunk["_position"]
            assert (chunk["curve"] == positions[:, None] * 2.0 + np.arange(3)).all()
            assert (chunk["words"] == positions[:, None] % 11 + np.arange(2)).all()
            assert (chunk["numeric"][:, 0] == positions).all()
            assert (chunk["curve"].dtype, chunk["words"].dtype) == (np.float32, np.int32)
            found += positions.tolist()
        reader.close()
    assert sorted(found) == sorted(set(range(95)) - GONE)


@pytest.mark.tensorflow
def test_images_are_decoded_after_shuffling_the_same_for_any_number_of_ranks(table):
    plan, alone = plan_of(table), {}
    for size in (1, 2, 4):
        found = {}
        for rank in range(size):
            dataset = make_dataset(plan.for_rank(rank, size), ALL)
            assert dataset.element_spec[0]["file"].shape.as_list() == [None, 4, 5, 1]
            for x, y in dataset:
                positions = x["_position"].numpy()
                pixels = np.reshape([pattern(int(one)) for one in positions], (-1, 4, 5, 1))
                expected = pixels.astype(np.float32) * np.float32(1 / 255)
                np.testing.assert_array_equal(x["file"], expected)
                assert (y.numpy() == positions % 2).all()
                found |= dict(zip(x["row"].numpy().tolist(), positions.tolist(), strict=True))
        assert sorted(found.values()) == sorted(set(range(95)) - GONE)
        alone = alone or found
        assert found == alone


@pytest.mark.tensorflow
def test_a_rank_without_a_row_in_a_batch_has_empty_images(table):
    plan = plan_of(table, global_batch_size=27)
    last = list(make_dataset(plan.for_rank(3, 4), ALL))[-1][0]
    assert [last["file"].shape[0], last["curve"].shape] == [0, (0, 3)]


@dataclass(frozen=True)
class Input:
    name: str
    kind: str
    shape: tuple[int, ...]


@pytest.mark.tensorflow
def test_an_image_that_can_t_be_decoded_is_named_by_its_position(tmp_path):
    import tensorflow as tf

    rows = rows_at(np.arange(20))
    files = rows["file"].to_pylist()
    files[13] = files[13][:15]  # it still begins as a PNG, with bytes that are no text
    bad = rows.set_column(rows.column_names.index("file"), "file", pa.array(files, pa.binary()))
    path = write(tmp_path / "t", bad)
    columns = FeedColumns.of([Input("file", "image", (4, 5, 1))])
    plan = plan_evaluation(take_snapshot(path), 8)
    dataset = make_dataset(plan.for_rank(0, 1), columns)
    assert set(dataset.element_spec[0]) == {"numeric", "category", "row", "file"}
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        list(dataset)
    said = str(raised.value)
    assert f"an image in column `file` of {path} at version 0 is not decodable" in said
    assert "expected a whole PNG or JPEG file" in said
    assert "[13] [15] [137 80 78 71 13 10 26 10]" in said
    told = describe(raised.value, TensorFlow())
    assert told["kind"] == "FeedError"
    assert told["message"].endswith("first bytes: 13 15 137 80 78 71 13 10 26 10")
    assert told["is_final"]


def replaced(name: str, values: list, kind: pa.DataType) -> pa.Table:
    rows = rows_at(np.arange(3))
    return rows.set_column(rows.column_names.index(name), name, pa.array(values, kind))


FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            replaced("curve", [[1.0] * 3, [1.0] * 2, [1.0] * 3], FLOATS),
            r"column 'curve' in .* has a row of 2 values; expected 3 in each\. Write the training",
        ),
        (replaced("curve", [[1.0] * 3, None, [1.0] * 3], FLOATS), "column 'curve' .* has 1 nulls"),
        (
            replaced("curve", [[1.0] * 3, [1.0, None, 1.0], [1.0] * 3], FLOATS),
            "column 'curve' .* has 1 nulls",
        ),
        (
            replaced("words", [["a"] * 2] * 3, pa.list_(pa.string())),
            "column 'words' .* can't be fed as int32",
        ),
    ],
)
def test_lists_of_another_length_and_nulls_are_refused(tmp_path, table, said):
    plan = plan_evaluation(take_snapshot(write(tmp_path / "t", table)), 3).for_rank(0, 1)
    reader = PetastormReader(plan, LISTS)
    with pytest.raises(FeedError, match=said):
        list(chunks(plan, LISTS, reader))
    reader.close()


def test_columns_of_another_type_are_refused_before_anything_is_read(table):
    snapshot = take_snapshot(table)
    LISTS.check(snapshot)
    ALL.check(snapshot)
    with pytest.raises(SchemaError, match=r"'a' .* is of type float; the feed expects a list of n"):
        FeedColumns(arrays=(Shaped("a", (3,)),)).check(snapshot)
    with pytest.raises(SchemaError, match=r"'words' .* type array; the feed expects the bytes of"):
        FeedColumns(images=(Shaped("words", (3, 3, 1)),)).check(snapshot)


def test_inputs_are_sorted_into_arrays_sequences_and_images():
    inputs = [
        Input("i", "image", (4, 5, 3)),
        Input("s", "sequence", (2,)),
        Input("x", "array", (7,)),
    ]
    columns = FeedColumns.of(inputs)
    assert columns.arrays == (Shaped("x", (7,)),)
    assert columns.sequences == (Shaped("s", (2,)),)
    assert columns.images == (Shaped("i", (4, 5, 3)),)
    assert columns.names == ("_label", "_position", "x", "s", "i")
    assert FeedColumns.of(inputs, keys=["_position"]).row_name is None
    with pytest.raises(FeedError, match=r"can't be named \['label'\]"):
        FeedColumns(arrays=(Shaped("label", (7,)),))


def test_no_more_than_a_batch_of_images_is_put_together_at_once(table):
    plan = plan_of(table).for_rank(0, 1)
    reader = PetastormReader(plan, ALL)
    try:
        found = [len(chunk["row"]) for chunk in chunks(plan, ALL, reader)]
    finally:
        reader.close()
    assert len(found) > 1
    assert max(found) == 16
