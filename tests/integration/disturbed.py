"""Trainings on a cluster of executors in JVMs of their own, disturbed on purpose.

`python disturbed.py FOLDER SEED` prints what came of them as one line of JSON. It is a program of
its own because the test suite shares one `local[2]` session, and a process has one at most.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import TidemillError
from pipelines.lake.session import spark_session
from pipelines.ranks.launcher import Ranks, launch
from pipelines.training.backend import TensorFlow
from pipelines.training.work import Trained, train_rank
from tests.conftest import ROOT
from tests.training.delta import work_on, write_training_set
from tests.training.memory import settings

SETTINGS = settings(
    batch_size=60,
    epochs=3,
    window_rows=40,
    checkpoint_steps=2,
    optimizer={"name": "adamw", "schedule": "cosine", "warmup_steps": 4, "clip_norm": 1.0},
    early_stopping={"patience": 3},
)
STEPS = 10
HANG_TIMEOUT = 40.0
RANKS = Ranks(size=2, wait=60, max_restarts=3, hang_timeout=HANG_TIMEOUT)


def kill_worker() -> None:
    """End this rank's process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_executor() -> None:
    """End the JVM that this rank's worker belongs to: its daemon's parent."""
    daemon = os.getppid()
    jvm = int(Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(jvm, signal.SIGKILL)
    threading.Event().wait()


def stop_worker() -> None:
    """Stop this rank's process, all its threads."""
    os.kill(os.getpid(), signal.SIGSTOP)


def stick() -> None:
    """Wait for what never comes, while other threads go on."""
    threading.Event().wait()


ACTIONS = {one.__name__: one for one in (kill_worker, kill_executor, stop_worker, stick)}


class Disturber:
    """Breaks a rank once it comes to a step; each of its (action, rank, epoch, step) once, in turn.

    `delay` is a pseudo-random time within the steps that follow: the rank is hit inside one, not
    between two.
    """

    def __init__(self, folder: Path, plan: Sequence[tuple[str, int, int, int]], seed: int) -> None:
        self.folder, self.plan, self.seed = folder, plan, seed
        folder.mkdir(parents=True)

    def __call__(self, rank: int, epoch: int, step: int) -> None:
        done = len(list(self.folder.iterdir()))
        if done == len(self.plan):
            return
        action, whom, *when = self.plan[done]
        if rank == whom and [epoch, step] >= when:
            (self.folder / f"{done} {action} {epoch} {step}").touch()
            if action == "stick":
                stick()
            delay = random.Random(self.seed + done).uniform(0, 0.02)
            threading.Timer(delay, ACTIONS[action]).start()


def weights(trained: Trained) -> list[np.ndarray]:
    return [np.asarray(one) for one in trained.weights]


def same(one: Trained, other: Trained) -> bool:
    pairs = zip(weights(one), weights(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def difference(one: Trained, other: Trained) -> float:
    """The largest relative difference between the losses of all epochs."""
    pairs = zip(one.history, other.history, strict=True)
    return max(abs(a[k] / b[k] - 1) for a, b in pairs for k in ("loss", "val_loss"))


def error_of(call: Callable[[], Any]) -> str:
    try:
        return f"no error: {call()}"
    except TidemillError as error:
        return f"{type(error).__name__}: {error}"


class SeenGpus:
    """Keeps what each rank sees in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def __call__(self, rank: int, epoch: int, step: int) -> None:
        (self.folder / str(rank)).write_text(os.environ["CUDA_VISIBLE_DEVICES"])


def discovery_script(folder: Path) -> Path:
    """A stub of a GPU discovery script: each worker that runs it has the next address."""
    script = folder / "gpus.sh"
    script.write_text(
        "#!/bin/sh\n"
        f"for n in 0 1 2 3 4 5 6 7; do\n  if mkdir {folder}/gpu-$n 2>/dev/null; then\n"
        '    echo "{\\"name\\": \\"gpu\\", \\"addresses\\": [\\"$n\\"]}"\n    exit 0\n  fi\ndone\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def main(folder: Path, seed: int) -> dict[str, Any]:
    script = str(discovery_script(folder))
    spark = spark_session(
        ROOT,
        "disturbed",
        "local",
        **{
            "spark.master": "local-cluster[2,1,1500]",
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1000m",
            "spark.worker.resource.gpu.amount": "1",
            "spark.worker.resource.gpu.discoveryScript": script,
            "spark.executor.resource.gpu.amount": "1",
            "spark.executor.resource.gpu.discoveryScript": script,
            "spark.ui.showConsoleProgress": "false",
            # A few restarts are the test, not a broken cluster.
            "spark.deploy.maxExecutorRetries": "-1",
        },
    )
    table = folder / "table"
    write_training_set(table)
    chosen = random.Random(seed)

    def train(name: str, ranks: Ranks, on_step: Any) -> Trained:
        work = work_on(table, folder / name, SETTINGS, on_step)
        notes: list[str] = []
        trained = launch(
            spark,
            functools.partial(train_rank, work=work),
            ranks,
            TensorFlow(),
            lambda event: notes.append(event["text"]) if event["event"] == "note" else None,
        )
        found[name] = {
            "ranks": trained.ranks,
            "restarts": trained.restarts,
            "notes": notes,
        }
        return trained

    def disturb(name: str, ranks: Ranks, *plan: tuple[str, int, int, int]) -> Trained:
        return train(name, ranks, Disturber(folder / f"{name}-done", plan, seed))

    def somewhere(first: int) -> tuple[int, int, int]:
        """A rank, epoch and step from the step `first` of the whole training on."""
        epoch, step = divmod(chosen.randrange(first, first + STEPS // 2), STEPS)
        return chosen.randrange(2), epoch, step

    found: dict[str, Any] = {"seed": seed}
    try:
        # Tasks of other stages ask for no GPU: an executor with one has room for them.
        found["etl_rows"] = spark.range(10).repartition(2).count()
        seen = SeenGpus(folder / "gpus")
        undisturbed = train("undisturbed", replace(RANKS, gpus=1), seen)
        found["gpus"] = [(seen.folder / str(rank)).read_text() for rank in range(2)]
        plan = [
            ("kill_worker", *somewhere(2)),
            ("kill_executor", *somewhere(10)),
            ("stop_worker", *somewhere(20)),
        ]
        found["plan"] = plan
        survived = disturb("survived", RANKS, *plan)
        found["survived"]["is_same"] = same(undisturbed, survived)
        kill = ("kill_executor", *somewhere(4))
        fewer = disturb("fewer", replace(RANKS, wait=0.01), kill)
        found["fewer"]["difference"] = difference(undisturbed, fewer)
        once = replace(RANKS, max_restarts=1)
        lost = [("kill_worker", 1, 0, 4), ("kill_worker", 0, 1, 2)]
        found["failed"] = error_of(lambda: disturb("failed", once, *lost))
        many = replace(RANKS, size=4, wait=0.5)
        found["too_many_ranks"] = error_of(lambda: train("many", many, None))
        many = replace(RANKS, size=3, wait=0.5, gpus=1)
        found["too_many_gpu_ranks"] = error_of(lambda: train("many", many, None))
        many = replace(RANKS, gpus=2)
        found["too_many_gpus"] = error_of(lambda: train("many", many, None))
    finally:
        spark.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
