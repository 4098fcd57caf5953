import gc
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import FeedError, SchemaError
from pipelines.feed.buffers import Buffer, Pool
from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns
from pipelines.feed.layout import pieces, read_layout
from pipelines.feed.plan import plan_epoch, plan_evaluation
from pipelines.feed.reader import MemoryReader, PetastormReader
from pipelines.feed.window import Window
from pipelines.lake.snapshot import take_snapshot
from tests.feed.tables import COLUMNS, delete_rows, read_epoch, read_rank, table_of


def plan_of(path: str, batch: int = 16, **more):
    return plan_epoch(
        take_snapshot(path, where={"_split": "train"}),
        **{"seed": 3, "epoch": 1, "global_batch_size": batch, "window_rows": 20, **more},
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 12])
def test_all_ranks_together_read_each_row_once(make_table, size):
    plan = plan_of(make_table([100, 3, 47, 250, 1]))
    found = read_epoch(plan, size)
    assert sorted(found) == list(range(401))
    assert sorted(found.values()) == list(range(401))
    assert found == read_epoch(plan, 1)


def test_one_row_group_feeds_more_ranks_than_there_are_row_groups(make_table):
    plan = plan_of(make_table([50], group=1000))
    assert sorted(read_epoch(plan, 4).values()) == list(range(50))


def test_reads_what_a_resumed_epoch_has_left(make_table):
    plan = plan_of(make_table([100, 3, 47, 250, 1]))
    whole = read_epoch(plan, 2)
    for step in (1, 13, plan.steps - 1, plan.steps):
        expected = {row: position for row, position in whole.items() if row >= step * 16}
        assert read_epoch(plan, 2, start_step=step) == expected


def test_deleted_rows_are_never_read(make_table):
    path = make_table([100, 60, 30])
    # Some rows, a whole row group in the middle (10 to 19), and the ends of a file.
    delete_rows(path, {0: [3, *range(10, 20), 25, 99], 1: [0, 59], 2: list(range(29))})
    gone = {3, *range(10, 20), 25, 99, 100, 159, *range(160, 189)}
    plan = plan_of(path)
    for size in (1, 4):
        assert sorted(read_epoch(plan, size).values()) == sorted(set(range(190)) - gone)
    assert sorted(read_epoch(plan_of(path, window_rows=1000)).values()) == sorted(
        set(range(190)) - gone
    )
    in_order = read_epoch(plan_evaluation(take_snapshot(path), 8))
    assert list(in_order.values()) == sorted(set(range(190)) - gone)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    group=st.integers(1, 25),
    window=st.integers(1, 60),
    size=st.sampled_from([1, 2, 3, 4]),
    data=st.data(),
)
def test_the_twin_in_memory_hands_out_the_same_rows(
    make_table, tmp_path, rows, group, window, size, data
):
    path = make_table(rows, group, name=f"t{len(list(tmp_path.iterdir()))}")
    if sum(rows) < size:
        return
    batch = data.draw(st.integers(size, max(size, sum(rows))))
    plan = plan_of(path, batch, window_rows=window)
    tables = {}
    for file in plan.snapshot.files:
        stored = pq.read_table(f"{path}/{file.path}", partitioning=None)
        tables[file.path] = {name: stored[name].to_numpy() for name in stored.column_names}
    step = data.draw(st.integers(0, plan.steps))
    for rank in range(size):
        mine = plan.for_rank(rank, size, step)
        twin = read_rank(mine, lambda plan, columns: MemoryReader(plan, columns, tables))
        assert read_rank(mine) == twin


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    group=st.integers(1, 25),
    window=st.integers(1, 60),
    size=st.sampled_from([1, 2, 3, 4]),
    data=st.data(),
)
def test_live_rows_come_once_whatever_was_deleted(
    make_table, tmp_path, rows, group, window, size, data
):
    path = make_table(rows, group, name=f"t{len(list(tmp_path.iterdir()))}")
    starts = np.cumsum(rows) - rows
    deleted = {
        file: sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
        for file, count in enumerate(rows)
        if data.draw(st.booleans())
    }
    gone = {int(starts[file]) + row for file, many in deleted.items() for row in many}
    live = sorted(set(range(sum(rows))) - gone)
    if len(live) < size:
        return
    if deleted:
        delete_rows(path, deleted)
    plan = plan_of(path, data.draw(st.integers(size, len(live))), window_rows=window)
    found = read_epoch(plan, size)
    assert sorted(found) == list(range(len(live)))
    assert sorted(found.values()) == live


def test_row_groups_come_in_the_order_of_first_need(make_table):
    plan = plan_of(make_table([400, 400]), streams=4, window_rows=40).for_rank(0, 1)
    layouts = {file.path: read_layout(plan, file) for file in plan.files}
    found = list(pieces(plan, COLUMNS, lambda file: layouts[file.path]))
    needs = [piece.targets[0].window.low for piece in found]
    assert needs == sorted(needs)
    assert [piece.targets[0].window.slot for piece in found][:6] == [0, 1, 1, 2, 2, 2]
    assert all(piece.layout.metadata.row_group(piece.group).num_rows == 10 for piece in found)


def test_windows_in_memory_do_not_grow_with_the_table(make_table):
    def most_windows(rows: list[int], name: str) -> int:
        plan = plan_of(make_table(rows, name=name), streams=3, window_rows=30).for_rank(0, 1)
        reader, most = PetastormReader(plan, COLUMNS, threads=1), 0
        for _ in chunks_of_ten(plan, reader):
            most = max(most, sum(isinstance(one, Window | Buffer) for one in gc.get_objects()))
        reader.close()
        return most

    def chunks_of_ten(plan, reader):
        from pipelines.feed import chunks as module

        parts = COLUMNS.components
        slots, pool = module._Slots(plan, reader, Buffer(parts, 10)), Pool(parts, 10)
        for first in range(0, plan.num_rows - 9, 10):
            yield slots.take(first, first + 10, pool)

    # What was there before is not looked through again and again.
    gc.collect()
    gc.freeze()
    try:
        small, large = most_windows([300], "small"), most_windows([300] * 10, "large")
    finally:
        gc.unfreeze()
    assert 0 < large <= small + 3


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_removed_by_a_vacuum_is_named_with_its_version(make_table, which):
    path = make_table([40, 40])
    plan = plan_of(path)
    lost = plan.for_rank(0, 1).files[which].path
    (Path(path) / lost).unlink()
    with pytest.raises(FeedError) as raised:
        read_epoch(plan)
    message = str(raised.value)
    assert message.startswith(f"{path} lacks a file of version 1: {lost}. A VACUUM removed it")
    assert "Take a new snapshot" in message


def test_a_file_with_other_rows_than_the_log_says_is_refused(make_table):
    path = make_table([40])
    plan = plan_of(path)
    pq.write_table(
        table_of(np.arange(39)).drop(["_split"]), f"{path}/{plan.snapshot.files[0].path}"
    )
    with pytest.raises(FeedError, match="holds 39 rows; at version 0 it had 40"):
        read_epoch(plan)


def rewrite(path: str, table: pa.Table) -> None:
    (file,) = take_snapshot(path).files
    pq.write_table(table, f"{path}/{file.path}", row_group_size=10)


def test_nulls_and_texts_and_missing_columns_are_refused_by_name(make_table):
    path = make_table([20])
    plan = plan_of(path)
    good = table_of(np.arange(20)).drop(["_split"])
    holes = pa.array([None, *range(19)], pa.float32())
    rewrite(path, good.set_column(good.column_names.index("b"), "b", holes))
    with pytest.raises(FeedError, match=r"column 'b' in .* has 1 nulls .* Impute them"):
        read_epoch(plan)
    rewrite(path, good.set_column(good.column_names.index("c"), "c", pa.array(["x"] * 20)))
    with pytest.raises(FeedError, match=r"column 'c' in .* can't be fed as int32"):
        read_epoch(plan)
    rewrite(path, good.drop(["a"]))
    with pytest.raises(FeedError, match=r"has no column 'a': the column was added"):
        read_epoch(plan)


def test_a_partition_column_can_be_an_input(make_table):
    from deltalake import write_deltalake

    path = make_table([1], name="unused").replace("unused", "by_c")
    write_deltalake(path, table_of(np.arange(100)), partition_by=["c"])
    plan = plan_evaluation(take_snapshot(path, where={"c": ["2", "5"]}), 10)
    assert sorted(read_epoch(plan).values()) == [i for i in range(100) if i % 7 in (2, 5)]


def test_doubles_and_booleans_become_float32(make_table):
    path = make_table([20])
    stored = table_of(np.arange(20)).drop(["_split"])
    stored = stored.set_column(2, "b", pa.array(np.arange(20) * -0.5, pa.float64()))
    stored = stored.set_column(4, "_label", pa.array(np.arange(20) % 2 == 1))
    rewrite(path, stored)
    assert len(read_epoch(plan_of(path))) == 20


def test_no_thread_is_left_after_a_read_that_was_broken_off(make_table):
    plan = plan_of(make_table([400] * 3)).for_rank(0, 1)
    before = set(threading.enumerate())
    reader = PetastormReader(plan, COLUMNS)
    next(iter(reader))
    reader.close()
    assert set(threading.enumerate()) <= before


def test_a_reader_that_ends_early_is_an_error_and_not_a_short_epoch(make_table):
    plan = plan_of(make_table([40])).for_rank(0, 1)

    class Short:
        def __iter__(self):
            return iter(())

        def close(self):
            pass

    with pytest.raises(FeedError, match="ended before all that rank 0 of 1 planned had come"):
        list(chunks(plan, COLUMNS, Short()))


def test_reads_from_a_file_system_that_is_no_folder(make_table):
    import fsspec

    path = make_table([30, 30])
    memory = fsspec.filesystem("memory")
    memory.put(path, "/lake/t", recursive=True)
    try:
        plan = plan_of("memory://lake/t")
        assert sorted(read_epoch(plan, 2).values()) == list(range(60))
    finally:
        memory.rm("/lake", recursive=True)


def test_columns_are_checked_against_the_version_before_anything_is_read(make_table):
    snapshot = take_snapshot(make_table([10]))
    COLUMNS.check(snapshot)
    with pytest.raises(SchemaError, match=r"at version 0 has no column 'aa'\. Did you mean 'a'"):
        FeedColumns(numeric=("aa",)).check(snapshot)
