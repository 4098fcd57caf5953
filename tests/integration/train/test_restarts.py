"""Ranks that die, hang or fail, and what a training makes of it."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from typing import Any

import numpy as np
import pytest

from pipelines.errors import FeedError, TrainingError
from tests.integration.train.conftest import weights_in

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


def test_a_rank_that_dies_costs_nothing_but_time(trained, launched, tmp_path):
    died = tmp_path / "died"

    def die_once(rank: int, epoch: int, step: int) -> None:
        if (rank, epoch, step) == (1, 1, 4) and not died.exists():
            died.touch()
            os._exit(1)

    events: list[dict[str, Any]] = []
    survived = launched(tmp_path / "run", 2, die_once, events.append)
    result, _ = trained
    assert died.exists()
    assert survived.restarts == 1
    for mine, other in zip(survived.weights, weights_in(result.details["bundle"]), strict=True):
        np.testing.assert_array_equal(mine, other)
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert "rank 1 (epoch 2, step 4) was lost" in notes[0]
    assert notes[1] == "going on from a checkpoint at epoch 2, step 5"


def test_when_all_restarts_fail_the_first_cause_is_named(launched, tmp_path):
    def die(rank: int, epoch: int, step: int) -> None:
        if rank == 1 and step == 4:
            os._exit(1)

    with pytest.raises(TrainingError, match=r"failed 2 times\..*rank 1 \(epoch 1, step 4\) was"):
        launched(tmp_path, 2, die)


def test_a_rank_that_is_stuck_in_a_step_is_found_and_started_again(trained, launched, tmp_path):
    stuck = tmp_path / "stuck"

    def stick_once(rank: int, epoch: int, step: int) -> None:
        if (rank, epoch, step) == (1, 1, 4) and not stuck.exists():
            stuck.touch()
            threading.Event().wait()

    events: list[dict[str, Any]] = []
    survived = launched(tmp_path / "run", 2, stick_once, events.append, hang_timeout=30.0)
    result, _ = trained
    assert survived.restarts == 1
    for mine, other in zip(survived.weights, weights_in(result.details["bundle"]), strict=True):
        np.testing.assert_array_equal(mine, other)
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert "rank 1 (epoch 2, step 4) hung: no rank has moved for 30 seconds" in notes[0]
    assert re.search(
        r"its process is alive, in test_restarts\.py, line \d+ \(stick_once\)", notes[0]
    )


@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_fails_after_the_ranks_have_met_is_named(who, launched, tmp_path, monkeypatch):
    def run(context: Any, attempt: Any, task: Any) -> Any:
        from pipelines.ranks import rank
        from pipelines.training import backend

        def fail(threads: int) -> None:
            time.sleep(3)  # the others have met by then, and wait to be joined
            raise ValueError("no such library")

        if context.partitionId() == who:
            backend.load_tensorflow = fail
        return rank.run_rank(context, attempt, task)

    monkeypatch.setattr("pipelines.ranks.launcher.run_rank", run)
    with pytest.raises(TrainingError, match=rf"^rank {who} .*failed: ValueError: no such library"):
        launched(tmp_path, 2)


def test_an_error_of_the_task_is_told_with_its_rank_and_not_tried_again(launched, tmp_path):
    def fail(rank: int, epoch: int, step: int) -> None:
        if rank == 1:
            raise ValueError("no such thing")

    events: list[dict[str, Any]] = []
    with pytest.raises(TrainingError, match=r"^rank 1 .*failed: ValueError: no such thing"):
        launched(tmp_path, 2, fail, events.append)
    assert not [event for event in events if event["event"] == "note"]


def test_a_file_that_a_vacuum_removed_ends_the_training_and_is_named(spark, tmp_path):
    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.training.backend import TensorFlow
    from pipelines.training.work import train_rank
    from tests.training.delta import work_on, write_training_set
    from tests.training.memory import settings

    table = tmp_path / "table"
    write_training_set(table)
    work = work_on(table, tmp_path / "run", settings(ranks=2))
    lost = work.rows.snapshots["train"].files[0].path
    (table / lost).unlink()
    events: list[dict[str, Any]] = []
    with pytest.raises(FeedError, match=rf"lacks a file of version 6: {lost}\. A VACUUM removed"):
        launch(
            spark, functools.partial(train_rank, work=work), Ranks(2), TensorFlow(), events.append
        )
    assert not [one for one in events if one["event"] == "note"], "starting again would not help"
