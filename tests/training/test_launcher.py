"""The launcher's parts that need no Spark."""

from __future__ import annotations

import json
import socket
import time

import pytest

from pipelines.errors import NotFiniteLoss
from pipelines.training.launcher import largest_divisor
from pipelines.training.rank import describe, slots
from pipelines.training.report import Listener, Reporter


@pytest.mark.parametrize(
    ("streams", "found", "expected"), [(12, 5, 4), (12, 12, 12), (12, 99, 12), (7, 6, 1), (4, 0, 0)]
)
def test_fewer_ranks_still_divide_the_streams(streams: int, found: int, expected: int) -> None:
    assert largest_divisor(streams, found) == expected


def test_ranks_are_counted_on_their_hosts_and_over_them() -> None:
    places = slots(["a", "b", "a", "a"])
    assert [place["LOCAL_RANK"] for place in places] == [0, 0, 1, 2]
    assert [place["LOCAL_SIZE"] for place in places] == [3, 1, 3, 3]
    assert [place["CROSS_RANK"] for place in places] == [0, 1, 0, 0]
    assert [place["CROSS_SIZE"] for place in places] == [2, 2, 1, 1]


@pytest.fixture
def heard():
    return []


@pytest.fixture
def listener(heard):
    made = Listener("127.0.0.1", "127.0.0.1", heard.append)
    made.begin(0)
    yield made
    made.close()


def until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_the_driver_hears_rank_0_and_keeps_the_place_of_all(listener, heard) -> None:
    ranks = [Reporter(listener.address, rank, 0) for rank in (0, 1)]
    for one in ranks:
        one.tell({"event": "step", "epoch": 2, "step": 30 + one.rank})
        one.tell({"event": "done"})
        one.close()
    until(lambda: len(listener.ranks) == 2 and all(s.ended for s in listener.ranks.values()))
    assert heard == [{"event": "step", "epoch": 2, "step": 30}]
    assert listener.ranks[1].place == "rank 1 (epoch 2, step 31)"
    assert listener.first_failure() is None


def test_a_rank_that_ends_without_a_word_is_lost(listener) -> None:
    first, second = (Reporter(listener.address, rank, 0) for rank in (0, 1))
    second.tell({"event": "step", "epoch": 1, "step": 7})
    second.close()
    until(lambda: 1 in listener.ranks and listener.ranks[1].ended == "lost")
    # What breaks on the others because of it comes first to mind, but is not the cause.
    broken = RuntimeError("Horovod has been shut down. This was caused by an exception")
    first.tell({"event": "failed", **describe(broken)})
    first.close()
    failed = listener.first_failure()
    assert failed is not None
    assert (failed.ended, failed.place) == ("lost", "rank 1 (epoch 1, step 7)")


def test_a_broken_collective_is_not_the_first_cause_even_if_it_is_told_first(listener) -> None:
    first, second = (Reporter(listener.address, rank, 0) for rank in (0, 1))
    first.tell({"event": "failed", **describe(RuntimeError("HorovodAllreduce failed"))})
    until(lambda: 0 in listener.ranks and listener.ranks[0].ended is not None)
    second.tell({"event": "failed", **describe(ValueError("the cause"))})
    first.close()
    second.close()
    failed = listener.first_failure()
    assert failed is not None
    assert failed.failure["message"] == "the cause"


def test_earlier_attempts_and_strangers_are_not_heard(listener, heard) -> None:
    listener.begin(1)
    late = Reporter(listener.address, 0, 0)
    late.tell({"event": "step", "epoch": 1, "step": 1})
    stranger = socket.create_connection((listener.address.host, listener.address.port))
    stranger.sendall(json.dumps({"token": "?", "rank": 0, "attempt": 1}).encode() + b"\n")
    assert stranger.recv(1) == b""
    stranger.close()
    late.close()
    assert heard == []
    assert listener.ranks == {}


@pytest.mark.tensorflow
def test_an_error_of_the_feed_comes_out_of_the_graph_as_it_was_raised() -> None:
    import tensorflow as tf

    from pipelines.errors import FeedError

    def rows():
        yield 1.0
        raise FeedError("gold.toy at version 3: a.parquet is gone.\nRun it: again")

    dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec((), tf.float32))
    with pytest.raises(tf.errors.OpError) as caught:
        list(dataset.batch(1))
    told = describe(caught.value)
    assert told["kind"] == "FeedError"
    assert told["message"] == "gold.toy at version 3: a.parquet is gone.\nRun it: again"
    assert told["is_final"]


def test_errors_of_the_task_are_final_and_broken_connections_are_not() -> None:
    assert describe(ValueError("x"))["is_final"]
    assert describe(NotFiniteLoss("x"))["is_final"]
    assert not describe(ConnectionResetError("x"))["is_final"]
    assert not describe(RuntimeError("Horovod has been shut down"))["is_final"]
