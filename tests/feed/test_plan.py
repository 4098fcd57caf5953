import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import PlanError
from pipelines.feed.plan import EpochPlan, RankPlan, plan_epoch, plan_evaluation
from pipelines.lake.deletion_vector import DeletionVector
from pipelines.lake.snapshot import LiveFile, Snapshot


def snapshot_of(rows: list[int], **more) -> Snapshot:
    starts = (np.cumsum(rows) - rows).tolist()
    files = [
        LiveFile(f"f{number:03}", count, start)
        for number, (count, start) in enumerate(zip(rows, starts, strict=True))
    ]
    return Snapshot("/lake/gold/t", 3, tuple(files), **more)


def taken(plan: RankPlan) -> list[list[tuple[str, int]]]:
    """The (file, live row) a rank takes in each step, by arithmetic on its plan alone."""
    order, handed = plan.order, {}
    for stream in plan.streams:
        stored = {}
        for file, first, last, at in zip(
            stream.files, stream.first, stream.last, stream.at, strict=True
        ):
            for offset in range(last - first):
                stored[at + offset] = (plan.files[file].path, first + offset)
        row = stream.start
        while row < stream.stop:
            window = order.window_at(stream.stream, row)
            low, high = order.window_bounds(stream.stream, window)
            assert low <= row < high
            picks = order.picks(stream.stream, window)
            picks = np.arange(high - low) if picks is None else picks
            for place, offset in enumerate(picks):
                handed[stream.stream, low + place] = stored[low + offset]
            row = high
    steps = []
    for step in range(plan.start_step, plan.steps):
        start, stop = order.batch_bounds(step)
        mine = [i for i in range(start, stop) if i % plan.size == plan.rank]
        assert len(mine) == plan.batch_rows(step)
        steps.append([handed[i % order.streams, i // order.streams] for i in mine])
    assert sum(map(len, steps)) == plan.num_rows
    return steps


def ranks_of(plan: EpochPlan, size: int, start_step: int = 0) -> list[list[list[tuple[str, int]]]]:
    return [taken(plan.for_rank(rank, size, start_step)) for rank in range(size)]


def global_batches(plan: EpochPlan, size: int, start_step: int = 0) -> list[set]:
    ranks = ranks_of(plan, size, start_step)
    batches = [[row for rank in ranks for row in rank[step]] for step in range(len(ranks[0]))]
    for step, batch in enumerate(batches):
        assert len(set(batch)) == len(batch) == plan.batch_rows(start_step + step)
    return [set(batch) for batch in batches]


layouts = st.lists(st.integers(1, 60), min_size=1, max_size=12)
epochs = {
    "rows": layouts,
    "seed": st.integers(0, 5),
    "epoch": st.integers(0, 3),
    "batch": st.integers(1, 80),
    "window": st.integers(1, 50),
}


def epoch_plan(rows, seed, epoch, batch, window) -> EpochPlan:
    return plan_epoch(
        snapshot_of(rows),
        seed=seed,
        epoch=epoch,
        global_batch_size=min(batch, sum(rows)),
        window_rows=window,
    )


@settings(deadline=None, max_examples=60)
@given(**epochs, size=st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_each_row_comes_exactly_once_and_each_rank_has_the_same_steps(size, batch, rows, **rest):
    plan = epoch_plan(rows, batch=max(batch, size), **rest) if sum(rows) >= size else None
    if plan is None:
        return
    ranks = ranks_of(plan, size)
    assert {len(rank) for rank in ranks} == {plan.steps}
    everything = [row for rank in ranks for step in rank for row in step]
    expected = {(f"f{file:03}", row) for file, count in enumerate(rows) for row in range(count)}
    assert len(everything) == len(expected)
    assert set(everything) == expected


@settings(deadline=None, max_examples=60)
@given(**epochs, size=st.sampled_from([2, 3, 4, 6, 12]))
def test_a_global_batch_holds_the_same_rows_for_any_number_of_ranks(size, batch, rows, **rest):
    if sum(rows) < size:
        return
    plan = epoch_plan(rows, batch=max(batch, size), **rest)
    assert global_batches(plan, size) == global_batches(plan, 1)


@settings(deadline=None, max_examples=60)
@given(**epochs, size=st.sampled_from([1, 2, 4]), data=st.data())
def test_resuming_takes_the_tail_of_the_epoch_and_nothing_else(size, batch, rows, data, **rest):
    if sum(rows) < size:
        return
    plan = epoch_plan(rows, batch=max(batch, size), **rest)
    step = data.draw(st.integers(0, plan.steps))
    whole = ranks_of(plan, size)
    assert ranks_of(plan, size, step) == [rank[step:] for rank in whole]


@settings(deadline=None, max_examples=60)
@given(**epochs, size=st.sampled_from([2, 3, 4, 12]))
def test_ranks_differ_by_one_row_at_most_in_each_step(size, batch, rows, **rest):
    if sum(rows) < size:
        return
    plan = epoch_plan(rows, batch=max(batch, size), **rest)
    for step in range(plan.steps):
        shares = [plan.for_rank(rank, size).batch_rows(step) for rank in range(size)]
        assert max(shares) - min(shares) <= 1
        assert sum(shares) == plan.batch_rows(step)


def test_a_batch_takes_the_same_share_of_each_stream():
    plan = plan_epoch(snapshot_of([500, 700]), seed=1, epoch=0, global_batch_size=100, streams=4)
    for step in range(plan.steps):
        for rank in range(4):
            assert plan.for_rank(rank, 4).batch_rows(step) == 25


def test_resuming_leaves_out_the_files_that_are_done():
    plan = plan_epoch(
        snapshot_of([10] * 120),
        seed=1,
        epoch=0,
        global_batch_size=12,
        streams=12,
        window_rows=10,
    )
    assert len(plan.for_rank(0, 1).files) == 120
    # After 60 steps each stream has handed out 60 of its 100 rows, so 6 of its 10 files.
    assert 48 <= len(plan.for_rank(0, 1, start_step=60).files) <= 60
    assert plan.for_rank(0, 1, start_step=100).num_rows == 0


def test_epochs_and_seeds_differ_and_the_same_ones_do_not():
    def order(seed: int, epoch: int) -> list:
        plan = plan_epoch(
            snapshot_of([30, 20, 50, 11]),
            seed=seed,
            epoch=epoch,
            global_batch_size=10,
            window_rows=8,
        )
        return taken(plan.for_rank(0, 1))

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_the_order_depends_on_positions_and_not_on_names_of_files():
    files = [LiveFile("b", 5, 0), LiveFile("a", 7, 5), LiveFile("c", 3, 12)]
    renamed = [LiveFile("x", 3, 12), LiveFile("y", 5, 0), LiveFile("z", 7, 5)]
    new_name = {"b": "y", "a": "z", "c": "x"}
    orders = [
        taken(
            plan_epoch(
                Snapshot("t", 0, tuple(some)), seed=4, epoch=2, global_batch_size=4
            ).for_rank(0, 1)
        )
        for some in (files, renamed)
    ]
    assert [[(new_name[f], row) for f, row in step] for step in orders[0]] == orders[1]


def test_only_live_rows_are_planned():
    vector = DeletionVector("i", "", None, 0, num_deleted=900)
    files = (LiveFile("a", 100, 0, {}, vector), LiveFile("b", 50, 1000))
    plan = plan_epoch(Snapshot("t", 0, files), seed=0, epoch=0, global_batch_size=10)
    assert plan.num_rows == 150
    assert max(row for step in taken(plan.for_rank(0, 1)) for _, row in step) == 99


def test_evaluation_goes_through_the_rows_in_the_order_of_positions():
    files = (LiveFile("b", 2, 3), LiveFile("a", 3, 0))
    plan = plan_evaluation(Snapshot("t", 0, files), 2)
    assert taken(plan.for_rank(0, 1)) == [
        [("a", 0), ("a", 1)],
        [("a", 2), ("b", 0)],
        [("b", 1)],
    ]
    assert plan.batch_rows(2) == 1


def test_a_rank_gets_its_own_files_only_and_travels_by_pickle():
    plan = plan_epoch(snapshot_of([100] * 12), seed=0, epoch=0, global_batch_size=12)
    parts = [plan.for_rank(rank, 4) for rank in range(4)]
    assert [len(part.files) for part in parts] == [3] * 4
    assert taken(pickle.loads(pickle.dumps(parts[2]))) == taken(parts[2])


@pytest.mark.parametrize(
    ("rows", "arguments", "size", "message"),
    [
        ([], {}, 1, "t has no rows at version 3 .* Run `normalize`"),
        ([5], {"global_batch_size": 6}, 1, "batch of 6 rows is larger than the 5 rows"),
        ([50], {"global_batch_size": 0}, 1, "batch size 0"),
        ([50], {"window_rows": 0}, 1, "window of 0 rows"),
        ([50], {}, 5, r"5 ranks don't divide 12 streams; expected one of \[1, 2, 3, 4, 6, 12\]"),
        ([50], {"global_batch_size": 3}, 4, "a global batch of 3 rows leaves some of 4 ranks"),
    ],
)
def test_says_what_does_not_fit_together(rows, arguments, size, message):
    arguments = {"seed": 0, "epoch": 0, "global_batch_size": 5, **arguments}
    with pytest.raises(PlanError, match=message):
        plan_epoch(snapshot_of(rows), **arguments).for_rank(0, size)


def test_refuses_a_rank_or_step_that_is_not_there():
    plan = plan_epoch(snapshot_of([50]), seed=0, epoch=0, global_batch_size=5)
    with pytest.raises(PlanError, match="no rank 2 among 2; expected 0 to 1"):
        plan.for_rank(2, 2)
    with pytest.raises(PlanError, match="no step 11 in an epoch of 10 steps"):
        plan.for_rank(0, 1, start_step=11)
