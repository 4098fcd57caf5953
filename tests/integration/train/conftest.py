"""A small lake with a training set, and a training with two ranks that its tests share."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.config.load import load_pipeline
from pipelines.config.normalize import Normalize
from pipelines.config.train import Promote, Train
from pipelines.lake.catalog import Lake
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import replace_slice
from pipelines.registry.bundle import load_bundle
from pipelines.run import Run
from pipelines.runner import run_stage
from tests.conftest import ROOT

NORMALIZE = {
    "training_set": "flights_training",
    "split": {
        "by": "date",
        "train": [dt.date(2013, 1, 1), dt.date(2013, 1, 20)],
        "validation": [dt.date(2013, 1, 21), dt.date(2013, 1, 25)],
        "test": [dt.date(2013, 1, 26), dt.date(2013, 1, 30)],
    },
    "features": {
        "wind": {"kind": "numeric", "missing_flag": True},
        "distance": {"kind": "numeric", "log1p": True},
        "carrier": {"kind": "category"},
    },
    "row_group_rows": 100,
    "file_rows": 300,
}
TRAIN = {
    "options": {"hidden": [16, 8], "dropout": 0.1},
    "optimizer": {"learning_rate": 0.01},
    "batch_size": 128,
    "epochs": 3,
    "window_rows": 64,
    "checkpoint_steps": 4,
    "max_restarts": 1,
    "early_stopping": None,
}
PROMOTE = {"threshold": 0.6, "min_gain": -0.05}
TABLE = "gold.flights_training"


@pytest.fixture(scope="package")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="package")
def open_run(spark, lake):
    """Opens a run with settings of `train` or `promote` changed."""
    flights = load_pipeline("flights", None, ["landing=nowhere"], lake.root, ROOT)

    def open_it(run_id: str, promote: dict[str, Any] | None = None, **train: Any) -> Run:
        pipeline = flights.model_copy(
            update={
                "normalize": Normalize.model_validate(NORMALIZE),
                "train": Train.model_validate({**TRAIN, **train}),
                "promote": Promote.model_validate({**PROMOTE, **(promote or {})}),
            }
        )
        return Run(pipeline, spark, lake, run_id)

    return open_it


@pytest.fixture(scope="package")
def training_set(spark, lake, open_run) -> int:
    """Version of a training set made by `normalize` from features of thirty days."""
    random = np.random.default_rng(3)
    rows = []
    for day in range(30):
        for number in range(50):
            wind, distance = float(random.normal()), float(random.uniform(100, 3000))
            carrier = str(random.choice(["UA", "AA", "B6"]))
            score = 2 * wind * (1 if carrier == "UA" else -1) + distance / 1500 - 1
            is_late = int(random.random() < 1 / (1 + np.exp(-2 * score)))
            key = (dt.date(2013, 1, day + 1), carrier, number, "JFK")
            rows.append((*key, is_late, None if number % 17 == 0 else wind, distance))
    schema = (
        "flight_date DATE, carrier STRING, flight INT, origin STRING, is_late INT, "
        "wind DOUBLE, distance DOUBLE"
    )
    frame = spark.createDataFrame(rows, schema)
    replace_slice(frame, lake, "gold.flights", "true", partition_by=["flight_date"])
    return run_stage("normalize", open_run("prepare", folds=2)).written[TABLE]


@pytest.fixture(scope="package")
def trained(training_set, open_run):
    """The result of `train` with two ranks."""
    events: list[dict[str, Any]] = []
    run = dataclasses.replace(open_run("two-ranks"), progress=events.append)
    return run_stage("train", run), events


@pytest.fixture
def launched(spark, lake, training_set):
    """A function that launches ranks and gives rank 0's `Trained`."""
    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.training.backend import TensorFlow
    from pipelines.training.rows import FeedRows
    from pipelines.training.work import Work, train_rank
    from pipelines.training_set.store import load_spec

    spec = load_spec(spark, lake, "flights", "gold.flights_training", training_set)

    def launch_it(
        folder: Path, ranks: int, on_step: Any = None, progress: Any = None, **more: Any
    ) -> Any:
        settings = Train.model_validate({**TRAIN, "ranks": ranks})
        place = lake.path(TABLE)
        snapshots = {
            split: take_snapshot(place, training_set, {"split": split})
            for split in ("train", "validation", "test")
        }
        rows = FeedRows(snapshots, spec.inputs, settings)
        work = Work(settings, spec.inputs, rows, str(folder), {TABLE: training_set}, on_step)
        wanted = dataclasses.replace(Ranks.of(settings), wait=5, **more)
        task = functools.partial(train_rank, work=work)
        return launch(spark, task, wanted, TensorFlow(), progress)

    return launch_it


def weights_in(bundle_folder: str) -> list[np.ndarray]:
    return load_bundle(bundle_folder).load_model().get_weights()


def losses(history: list[dict[str, Any]]) -> list[float]:
    return [epoch[name] for epoch in history for name in ("loss", "val_loss", "val_roc_auc")]
