import os
import subprocess
import sys

import numpy as np
import pytest

from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import make_dataset, open_table
from pipelines.feed.plan import plan_epoch, plan_evaluation
from pipelines.lake.snapshot import take_snapshot
from tests.feed.tables import COLUMNS, check_rows, delete_rows

pytestmark = pytest.mark.tensorflow


def plan_of(path: str, batch: int = 16, **more):
    numbers = {"seed": 3, "epoch": 1, "global_batch_size": batch, "window_rows": 20, **more}
    return plan_epoch(take_snapshot(path), **numbers)


def batches(plan) -> list[list[int]]:
    """The positions in each batch of a rank, its rows' values checked."""
    found = []
    for x, y in make_dataset(plan, COLUMNS):
        arrays = {name: one.numpy() for name, one in x.items()}
        found.append(check_rows({**arrays, "label": y.numpy()}))
    return found


def flat(lists: list[list[int]]) -> list[int]:
    return [row for rows in lists for row in rows]


def test_an_element_is_as_documented(make_table):
    dataset = make_dataset(plan_of(make_table([40, 3])).for_rank(0, 1), COLUMNS)
    x, y = next(iter(dataset))
    found = {name: (one.dtype.name, tuple(one.shape)) for name, one in x.items()}
    assert found == {
        "numeric": ("float32", (16, 2)),
        "category": ("int32", (16, 1)),
        "row": ("int64", (16,)),
        "_position": ("int64", (16,)),
    }
    assert (y.dtype.name, tuple(y.shape)) == ("float32", (16,))
    assert x["row"].numpy().tolist() == list(range(16))
    assert len(dataset) == 3


def test_weights_come_third_and_without_a_label_there_is_x_alone(make_table):
    plan = plan_of(make_table([40])).for_rank(0, 1)
    weighted = FeedColumns(numeric=("b",), weight="a")
    x, _, weight = next(iter(make_dataset(plan, weighted)))
    assert (x["numeric"].numpy()[:, 0] == weight.numpy() * -0.5).all()
    assert tuple(x["category"].shape) == (16, 0)
    x = next(iter(make_dataset(plan, FeedColumns(numeric=("b",), label=None))))
    assert set(x) == {"numeric", "category", "row"}


@pytest.mark.parametrize("batch", [16, 23])
def test_batches_are_the_same_for_one_two_three_and_four_ranks(make_table, batch):
    path = make_table([100, 3, 47, 150, 1])
    delete_rows(path, {0: [3, 50], 3: list(range(100))})
    plan = plan_of(path, batch)
    alone = batches(plan.for_rank(0, 1))
    assert sorted(flat(alone)) == sorted(set(range(301)) - {3, 50, *range(150, 250)})
    assert [len(batch) for batch in alone] == [plan.batch_rows(k) for k in range(plan.steps)]
    for size in (2, 3, 4):
        ranks = [batches(plan.for_rank(rank, size)) for rank in range(size)]
        assert {len(rank) for rank in ranks} == {plan.steps}
        for step in range(plan.steps):
            # Rank r has every size-th row of the batch.
            together = [None] * plan.batch_rows(step)
            for rank in range(size):
                together[(rank - step * batch) % size :: size] = ranks[rank][step]
            assert together == alone[step]


def test_a_rank_without_a_row_in_the_last_batch_still_takes_the_step(make_table):
    plan = plan_of(make_table([33]))
    assert [len(batch) for batch in batches(plan.for_rank(0, 4))] == [4, 4, 1]
    assert [len(batch) for batch in batches(plan.for_rank(3, 4))] == [4, 4, 0]
    assert batches(plan.for_rank(3, 4, start_step=2)) == [[]]
    assert batches(plan.for_rank(3, 4, start_step=3)) == []


@pytest.mark.parametrize("size", [1, 3])
def test_resuming_gives_the_batches_that_are_left(make_table, size):
    plan = plan_of(make_table([100, 3, 47]), batch=13)
    for rank in range(size):
        whole = batches(plan.for_rank(rank, size))
        for step in (1, 5, plan.steps - 1):
            assert batches(plan.for_rank(rank, size, start_step=step)) == whole[step:]


def test_going_through_it_again_reads_the_same_rows_again(make_table):
    dataset = make_dataset(plan_of(make_table([100])).for_rank(0, 2), COLUMNS)
    first, second = ([x["_position"].numpy().tolist() for x, _ in dataset] for _ in range(2))
    assert first == second


def test_keras_fits_on_it(make_table):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    plan = plan_of(make_table([100])).for_rank(0, 1)
    dataset = make_dataset(plan, COLUMNS).map(lambda x, y: (x["numeric"], y))
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2


def test_evaluation_keeps_the_order_of_positions_and_can_be_shared(make_table):
    snapshot = take_snapshot(make_table([30, 5, 12]))
    alone = batches(plan_evaluation(snapshot, 10).for_rank(0, 1))
    assert flat(alone) == list(range(47))
    plan = plan_evaluation(snapshot, 10, streams=12)
    shared = [flat(batches(plan.for_rank(rank, 2))) for rank in range(2)]
    assert sorted(flat(shared)) == list(range(47))


def test_three_lines_open_a_table(make_table):
    path = make_table([30, 5], name="lake/gold/rows")
    lake = path.removesuffix("/gold/rows")
    x, _ = next(iter(open_table("gold.rows", COLUMNS, version=0, lake=lake, batch_size=10)))
    assert x["_position"].numpy().tolist() == list(range(10))
    shuffled = open_table(path, COLUMNS, where={"_split": "train"}, batch_size=10, seed=1)
    rows = np.concatenate([x["_position"].numpy() for x, _ in shuffled])
    assert rows.tolist() != sorted(rows.tolist()) == list(range(35))


THREE_LINES = """
import sys
from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import open_table
rows = open_table(sys.argv[1], FeedColumns(numeric=["a", "b"], category=["c"]), version=1)
print(sum(len(y) for _, y in rows))
context = getattr(sys.modules.get("pyspark"), "SparkContext", None)
print("horovod" in sys.modules, context is not None and context._active_spark_context is not None)
"""


def test_a_notebook_needs_neither_horovod_nor_a_running_spark(make_table, project):
    ended = subprocess.run(
        [sys.executable, "-c", THREE_LINES, make_table([30, 5])],
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["35", "False", "False"]
