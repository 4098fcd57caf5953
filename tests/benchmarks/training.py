"""Training from the feed beside training in memory, and two ranks beside one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.config.train import Train
from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import plan_epoch
from pipelines.lake.snapshot import take_snapshot
from pipelines.ranks.rank import Rank
from pipelines.training.rows import FeedRows
from pipelines.training.work import Trained, Work, train_rank
from tests.benchmarks.measure import Figure, Helper, side_by_side
from tests.benchmarks.tables import inputs, make_table, names

BATCH = 1024
COLUMNS = 40
LAYERS = (256, 128)
EPOCHS = 3
HELD_BACK_ROWS = 20_000
"""Rows of the tables that serve as validation and test splits."""


def fit(folder: str, rows: int) -> Iterator[Figure]:
    """Measure Keras' `fit` from the feed and from arrays in memory."""
    path = make_table(f"{folder}/wide", rows, COLUMNS)
    with Helper("tests.benchmarks.training", os.environ) as one:
        for source in ("memory", "feed"):
            one.ask(path=path, source=source)  # imports, compiling, memory
        found = side_by_side(
            {
                source: lambda source=source: one.ask(path=path, source=source)["rows_per_second"]
                for source in ("memory", "feed")
            }
        )
    yield Figure(
        "fit_vs_memory",
        found["feed"] / found["memory"],
        "rows/s of fit from the feed over fit on arrays in memory",
        at_least=0.9,
    )


def ranks(folder: str, rows: int) -> Iterator[Figure]:
    """Measure one rank and two, 1024 rows each, every rank on a core of its own."""
    path = make_table(f"{folder}/wide", rows, COLUMNS)
    with (
        Helper("tests.benchmarks.training", os.environ) as one,
        Helper("tests.benchmarks.training", os.environ) as two,
    ):
        speeds = {1: one, 2: two}
        found = side_by_side(
            {
                str(size): lambda size=size: speeds[size].ask(path=path, ranks=size)[
                    "rows_per_second"
                ]
                for size in (1, 2)
            }
        )
    yield Figure(
        "two_ranks_vs_one",
        found["2"] / found["1"],
        "training rows/s of two ranks over one, a core each",
        at_least=1.8,
    )


def serve(request: dict[str, Any]) -> dict[str, float]:
    """Train in one way (in a process of its own)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "ranks" in request:
        return {"rows_per_second": _train_on_ranks(request["path"], request["ranks"])}
    return {"rows_per_second": _fit(request["path"], request["source"])}


_kept: dict[str, Any] = {}


def _fit(path: str, source: str) -> float:
    import keras
    import numpy as np

    from pipelines.feed.dataset import make_dataset

    if "model" not in _kept:
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dense(units, activation="relu") for units in LAYERS]
        model = keras.Sequential([keras.Input((COLUMNS,)), *layers, keras.layers.Dense(1)])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(optimizer="adam", loss=loss)
        _kept["model"] = model
    model = _kept["model"]
    columns = FeedColumns(numeric=tuple(names(COLUMNS)))
    plan = plan_epoch(take_snapshot(path), seed=1, epoch=0, global_batch_size=BATCH)
    if source == "feed":
        start = time.perf_counter()
        dataset = make_dataset(plan.for_rank(0, 1), columns)
        model.fit(dataset.map(lambda x, y: (x["numeric"], y)), verbose=0)
        return plan.num_rows / (time.perf_counter() - start)
    if "arrays" not in _kept:
        parts = [(x["numeric"], y) for x, y in make_dataset(plan.for_rank(0, 1), columns)]
        _kept["arrays"] = [np.concatenate(some) for some in zip(*parts, strict=True)]
    features, labels = _kept["arrays"]
    start = time.perf_counter()
    model.fit(features, labels, batch_size=BATCH, verbose=0)
    return plan.num_rows / (time.perf_counter() - start)


def _train_on_ranks(path: str, size: int) -> float:
    """Return rows per second of the epochs after the first, in which graphs are made."""
    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.training.backend import TensorFlow

    work = work_on(path, COLUMNS, size, epochs=EPOCHS, options={"hidden": LAYERS})
    task = partial(_on_a_core, work=work)
    trained: Trained = launch(spark_session(size), task, Ranks(size), TensorFlow())
    later = trained.history[1:]
    return len(later) * _rows(path) / sum(float(epoch["seconds"]) for epoch in later)


def _on_a_core(rank: Rank, work: Work) -> Trained:
    cores = sorted(os.sched_getaffinity(0))
    # Every thread the process has so far; those to come follow the one that makes them.
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[rank.collective.rank % len(cores)]})
    return train_rank(rank, work)


def spark_session(cores: int) -> Any:
    """Return this process's Spark session on some cores, with the local profile."""
    from pipelines.lake.session import spark_session as session

    settings = {
        "spark.master": f"local[{cores}]",
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.python.worker.reuse": "false",
        "spark.sql.warehouse.dir": Path(tempfile.gettempdir()).as_uri(),
    }
    return session(Path(__file__).resolve().parents[2], "tidemill benchmarks", "local", **settings)


def work_on(path: str, columns: int, size: int, *, epochs: int, options: dict[str, Any]) -> Work:
    """Return a training on a generated table, 1024 rows a rank."""
    settings = Train(
        options=options, batch_size=BATCH * size, epochs=epochs, ranks=size, early_stopping=None
    )
    folder = tempfile.mkdtemp()
    held_back = take_snapshot(make_table(f"{folder}/held_back", HELD_BACK_ROWS, columns))
    snapshots = {"train": take_snapshot(path), "validation": held_back, "test": held_back}
    rows = FeedRows(snapshots, inputs(columns), settings)
    return Work(settings, inputs(columns), rows, f"{folder}/checkpoints", {"generated": 0})


def train_alone(path: str, columns: int) -> Trained:
    """Train an epoch in this process."""
    from pipelines.training.collective import SingleProcess

    class Silent:
        """Tells nobody."""

        def tell(self, event: dict[str, Any]) -> None:
            """Take an event."""

    work = work_on(path, columns, 1, epochs=1, options={"hidden": (16,)})
    return train_rank(Rank(SingleProcess(), Silent(), 0, 2), work)


def _rows(path: str) -> int:
    return take_snapshot(path).num_rows
