"""The launcher's parts that need no Spark."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import PySparkRuntimeError

from pipelines.errors import FeedError, NotFiniteLoss, SettingsError, TrainingError
from pipelines.ranks.launcher import _is_final
from pipelines.ranks.meeting import Place, environment, slots
from pipelines.ranks.pulse import beating
from pipelines.ranks.rank import describe as describe_of
from pipelines.ranks.rank import given_gpus
from pipelines.ranks.report import Listener, Reporter, beat_of
from pipelines.ranks.slots import check_allocation, largest_divisor
from pipelines.training.backend import TensorFlow


def describe(error: BaseException) -> dict[str, Any]:
    return describe_of(error, TensorFlow())


@pytest.mark.parametrize(
    ("streams", "found", "expected"), [(12, 5, 4), (12, 12, 12), (12, 99, 12), (7, 6, 1), (4, 0, 0)]
)
def test_fewer_ranks_still_divide_the_streams(streams: int, found: int, expected: int) -> None:
    assert largest_divisor(streams, found) == expected


def test_executors_that_come_and_go_are_refused_before_ranks_start() -> None:
    def session(**settings: str):
        context = SimpleNamespace(getConf=lambda: settings)
        return SimpleNamespace(sparkContext=context)

    check_allocation(session())
    with pytest.raises(SettingsError, match=r"dynamicAllocation\.enabled: true`: ranks need all"):
        check_allocation(session(**{"spark.dynamicAllocation.enabled": "true"}))


def test_ranks_are_counted_on_their_hosts_and_over_them() -> None:
    places = slots(["a", "b", "a", "a"])
    assert [place["LOCAL_RANK"] for place in places] == [0, 0, 1, 2]
    assert [place["LOCAL_SIZE"] for place in places] == [3, 1, 3, 3]
    assert [place["CROSS_RANK"] for place in places] == [0, 1, 0, 0]
    assert [place["CROSS_SIZE"] for place in places] == [2, 2, 1, 1]


def test_ranks_of_one_machine_listen_on_loopback_those_of_several_where_gloo_does() -> None:
    place = Place("10.0.0.1:4/token", 4)
    assert environment(["a", "a"], 1, place)["HOROVOD_GLOO_IFACE"].startswith("lo")
    several = environment(["a", "b"], 1, place)
    assert several["HOROVOD_GLOO_IFACE"] == ""
    assert several["HOROVOD_GLOO_RENDEZVOUS_ADDR"] == "10.0.0.1:4/token"
    assert several["HOROVOD_CROSS_RANK"] == "1"


@pytest.fixture
def heard():
    return []


@pytest.fixture
def listener(heard):
    made = Listener("127.0.0.1", "127.0.0.1", heard.append)
    made.begin(0, 2)
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


def heartbeat(count: int, where: str = "step.py, line 7 (run)") -> dict:
    return {"event": "alive", "count": count, "where": where}


def since(listener, rank: int, moved: float, heard: float) -> None:
    """Set how many seconds ago a rank moved and was heard."""
    state, now = listener.ranks[rank], time.monotonic()
    state.moved_at, state.heard_at = now - moved, now - heard


@pytest.fixture
def two_ranks(listener):
    ranks = [Reporter(listener.address, rank, 0) for rank in (0, 1)]
    for count, one in zip((8, 7), ranks, strict=True):
        one.tell({"event": "step", "epoch": 1, "step": 5})
        one.tell(heartbeat(count))
    until(lambda: {s.signs for s in listener.ranks.values()} == {7, 8})
    yield ranks
    for one in ranks:
        one.close()


def test_ranks_hang_when_none_of_them_has_moved_for_the_timeout(listener, two_ranks) -> None:
    since(listener, 0, moved=1, heard=0)
    since(listener, 1, moved=99, heard=0)
    assert listener.find_hung(60) is None, "the others still go on"
    since(listener, 0, moved=61, heard=0)
    hung = listener.find_hung(60)
    assert hung is listener.ranks[1], "rank 0 has come one step further, and waits"
    assert hung.failure == {"is_answering": True}
    assert listener.first_failure() is hung


def test_a_rank_that_does_not_answer_is_the_cause_even_if_it_is_not_behind(listener, two_ranks):
    since(listener, 0, moved=70, heard=20)
    since(listener, 1, moved=70, heard=1)
    hung = listener.find_hung(60)
    assert hung is listener.ranks[0]
    assert hung.failure == {"is_answering": False}


def test_heartbeats_alone_are_no_sign_of_progress(listener, two_ranks) -> None:
    since(listener, 0, moved=61, heard=61)
    since(listener, 1, moved=61, heard=61)
    two_ranks[1].tell(heartbeat(7, where="model.py, line 3 (call)"))
    until(lambda: listener.ranks[1].where == "model.py, line 3 (call)")
    assert listener.find_hung(60) is listener.ranks[0]
    listener.ranks[0].ended = None
    two_ranks[0].tell(heartbeat(9))
    until(lambda: listener.ranks[0].signs == 9)
    assert listener.find_hung(60) is None, "a step more is one"


def test_a_rank_that_never_came_is_the_one_the_others_wait_for(listener) -> None:
    first = Reporter(listener.address, 0, 0)
    until(lambda: 0 in listener.ranks)
    since(listener, 0, moved=61, heard=0)
    hung = listener.find_hung(60)
    assert hung is not None
    assert hung.place == "rank 1 (before its first step)"
    first.close()


def test_where_no_rank_ever_comes_the_first_is_named(listener) -> None:
    listener.begin(0, 2)
    assert listener.find_hung(60) is None, "they may still come"
    listener._began -= 61
    hung = listener.find_hung(60)
    assert hung is not None
    assert hung.place == "rank 0 (before its first step)"
    assert not hung.failure["is_answering"]


def test_ranks_that_are_done_do_not_hang(listener, two_ranks) -> None:
    for rank, one in enumerate(two_ranks):
        one.tell({"event": "done"})
        until(lambda rank=rank: listener.ranks[rank].ended)
        since(listener, rank, moved=99, heard=99)
    assert listener.find_hung(60) is None


def test_several_heartbeats_fit_into_the_timeout_and_none_come_without_one() -> None:
    assert [beat_of(one) for one in (600, 10, None)] == [5.0, 2.0, None]


def test_a_heartbeat_says_where_the_rank_is() -> None:
    told = []
    here = re.compile(r"test_launcher\.py, line \d+ \((until|<lambda>)\)")
    with beating(told.append, 0.01):  # the first beat may come before we are in here
        until(lambda: any(here.fullmatch(one["where"]) for one in told))
    assert told[0]["count"] == 0
    silent: list = []
    with beating(silent.append, None):
        pass
    assert silent == []


class Given:
    """Stands for what Spark says of a task's GPUs."""

    addresses = ("3", "5")


def test_a_rank_gets_the_gpus_spark_gave_its_task() -> None:
    assert given_gpus({"gpu": Given()}, 2) == ["3", "5"]
    assert given_gpus({}, 0) == []
    with pytest.raises(TrainingError, match=r"the GPUs \[\], expected 1"):
        given_gpus({}, 1)


def test_gpus_and_threads_of_a_worker_that_has_tensorflow_already_can_not_change(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(TrainingError, match=r"GPU 1 can't be given .* CUDA_VISIBLE_DEVICES=0"):
        TensorFlow().prepare(1, ["1"])


PREPARED = """
import json, os, sys
from pipelines.training.backend import TensorFlow
prepare = TensorFlow().prepare
prepare(*json.loads(sys.argv[1]))
import tensorflow as tf
threading = tf.config.threading
found = [threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()]
found += [os.environ["OMP_NUM_THREADS"], os.environ["CUDA_VISIBLE_DEVICES"]]
try:
    prepare(found[0] + 1)
    said = "nothing"
except Exception as error:
    said = str(error)
print(json.dumps([*found, said]))
"""


@pytest.mark.tensorflow
def test_a_rank_keeps_to_its_threads_and_gpus(project) -> None:
    asked = json.dumps([3, ["4", "6"]])
    environment = {**os.environ, "PYTHONPATH": str(project)}
    ended = subprocess.run(
        [sys.executable, "-c", PREPARED, asked],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *found, said = json.loads(ended.stdout)
    assert found == [3, 3, "3", "4,6"]
    assert "computes with 3 threads in this Python worker, expected 4" in said


def test_earlier_attempts_and_strangers_are_not_heard(listener, heard) -> None:
    listener.begin(1, 2)
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


class OwnError(Exception):
    """An error of somebody's own, of which nothing is known."""


@pytest.mark.parametrize(
    "error",
    [
        OwnError("x"),
        RuntimeError("x"),
        MemoryError(),
        BrokenPipeError("x"),
        PySparkRuntimeError("[CANNOT_OPEN_SOCKET] Can not open socket: tried to connect"),
        EOFError("x"),
    ],
)
def test_what_is_not_known_to_be_final_is_tried_again(error) -> None:
    assert not describe(error)["is_final"]
    said = f"Job aborted.\nTraceback:\n  a line\nKeyError: 'inner'\n\n{type(error).__name__}: x\n"
    assert not _is_final(None, Exception(said))


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), FeedError("x"), NameError("x")])
def test_what_would_come_again_is_final_whether_a_rank_told_it_or_spark(error) -> None:
    assert describe(error)["is_final"]
    assert _is_final(None, error)
    said = "org.apache.spark.api.python.PythonException: Traceback (most recent call last):\n"
    assert _is_final(None, Exception(f"{said}  a line\n{type(error).__name__}: x\n\n\tat org"))


def test_spark_failing_without_a_word_of_python_is_tried_again() -> None:
    assert not _is_final(None, Exception("Job 3 cancelled: could not open a socket"))


def test_errors_of_the_task_are_final_and_broken_connections_are_not() -> None:
    assert describe(ValueError("x"))["is_final"]
    assert describe(NotFiniteLoss("x"))["is_final"]
    assert not describe(ConnectionResetError("x"))["is_final"]
    assert not describe(RuntimeError("Horovod has been shut down"))["is_final"]
    assert describe(ImportError("No module named 'horovod'"))["is_final"]
    assert describe(ValueError("horovod"))["is_final"]
