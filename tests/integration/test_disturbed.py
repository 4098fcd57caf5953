"""Ranks that are killed or stopped, on executors in JVMs of their own; and GPUs for ranks.

One program does it all (`disturbed.py`), and each test looks at a part of what it says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.end_to_end,
    pytest.mark.timeout(1800),
]
SEED = int(os.environ.get("DISTURBED_SEED", "1"))
"""Of the steps at which ranks are hit; another one tries others."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, project: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("disturbed")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.integration.disturbed", str(folder), str(SEED)],
        cwd=project,
        # The executors' Python workers find the code here.
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def test_after_kills_and_a_stop_the_weights_are_those_of_an_undisturbed_training(found):
    survived = found["survived"]
    assert found["undisturbed"] == {"ranks": 2, "restarts": 0, "notes": []}
    assert [one[0] for one in found["plan"]] == ["kill_worker", "kill_executor", "stop_worker"]
    assert (survived["ranks"], survived["restarts"]) == (2, 3), "one restart for each"
    assert survived["is_same"], "bit for bit"


def test_each_loss_is_told_with_its_rank_and_its_cause(found):
    worker, executor, stopped = (f"rank {one[1]} (epoch" for one in found["plan"])
    told = [note for note in found["survived"]["notes"] if "Starting again" in note]
    lost = "was lost: its process ended without a word"
    assert told[0].startswith(worker)
    assert lost in told[0]
    assert told[1].startswith(executor)
    assert lost in told[1]
    assert told[2].startswith(stopped)
    assert "hung: no rank has moved for 40 seconds (`train.hang_timeout`)" in told[2]
    assert "its process does not answer" in told[2]
    resumed = [note for note in found["survived"]["notes"] if "going on from" in note]
    assert len(resumed) == 3


def test_with_fewer_slots_after_a_loss_training_goes_on_with_fewer_ranks(found):
    fewer = found["fewer"]
    assert (fewer["ranks"], fewer["restarts"]) == (1, 1)
    assert fewer["difference"] < 1e-5


def test_when_every_restart_fails_the_first_cause_is_named(found):
    assert found["failed"].startswith(
        "TrainingError: training failed 2 times. The first time: rank 1 (epoch 1, step "
    )


def test_more_ranks_than_slots_are_refused_and_not_waited_for(found):
    assert (
        "needs 4 slots at the same time, but Spark (local-cluster[2,1,1500]) has 2. Set"
        in (found["too_many_ranks"])
    )


def test_each_rank_sees_the_gpu_it_was_given_and_other_tasks_need_none(found):
    assert sorted(found["gpus"]) == ["0", "1"]
    assert found["etl_rows"] == 10


def test_gpus_the_application_lacks_are_refused_by_name(found):
    assert "needs 3 slots with 1 GPUs each at the same time" in found["too_many_gpu_ranks"]
    assert found["too_many_gpus"].startswith(
        "SettingsError: `train.resources.gpu: 2`: this application's executors own 1 GPUs each"
    )
