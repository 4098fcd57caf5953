"""`train` and `promote` on a real training set, with real ranks in Spark's barrier stage."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.config.load import load_pipeline
from pipelines.config.normalize import Normalize
from pipelines.config.train import Promote, Train
from pipelines.errors import (
    EmptySplit,
    FeatureError,
    FeedError,
    GateRefused,
    SettingsError,
    TrainingError,
    VersionNotFound,
)
from pipelines.lake.catalog import Lake
from pipelines.lake.read import read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import replace_slice
from pipelines.registry.bundle import load_bundle
from pipelines.registry.champion import champion, find_champion
from pipelines.run import Run
from pipelines.runner import run_stage
from tests.conftest import ROOT

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]

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


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def trained(training_set, open_run):
    """The result of `train` with two ranks."""
    events: list[dict[str, Any]] = []
    run = dataclasses.replace(open_run("two-ranks"), progress=events.append)
    return run_stage("train", run), events


@pytest.fixture
def launched(spark, lake, training_set):
    """A function that launches ranks and gives rank 0's `Trained`."""
    from pipelines.features.store import load_spec
    from pipelines.training.launcher import Ranks, launch
    from pipelines.training.rows import FeedRows
    from pipelines.training.work import Work, train_rank

    spec = load_spec(spark, lake, "flights", "flights_training", training_set)

    def launch_it(
        folder: Path, ranks: int, on_step: Any = None, progress: Any = None, **more: Any
    ) -> Any:
        settings = Train.model_validate({**TRAIN, "ranks": ranks})
        place = lake.path(TABLE)
        snapshots = {
            split: take_snapshot(place, training_set, {"_split": split})
            for split in ("train", "validation", "test")
        }
        rows = FeedRows(snapshots, spec.inputs, settings)
        work = Work(settings, spec.inputs, rows, str(folder), {TABLE: training_set}, on_step)
        wanted = dataclasses.replace(Ranks.of(settings), wait=5, **more)
        return launch(spark, functools.partial(train_rank, work=work), wanted, progress)

    return launch_it


def weights_in(bundle_folder: str) -> list[np.ndarray]:
    return load_bundle(bundle_folder).load_model().get_weights()


def losses(history: list[dict[str, Any]]) -> list[float]:
    return [epoch[name] for epoch in history for name in ("loss", "val_loss", "val_roc_auc")]


def test_a_training_leaves_a_bundle_that_says_where_it_came_from(trained, lake, training_set):
    result, events = trained
    bundle = load_bundle(result.details["bundle"])
    assert bundle.tables == {TABLE: training_set, "gold.flights": 1}
    assert result.counts == {
        "train_rows": 1000,
        "validation_rows": 250,
        "test_rows": 250,
        "epochs": 3,
        "model_version": 1,
    }
    assert result.details["ranks"] == 2
    assert result.details["metrics"]["roc_auc"] > 0.75
    assert result.details["metrics"]["log_loss"] < result.details["constant_metrics"]["log_loss"]
    assert bundle.evaluation["num_rows"] == 250
    assert bundle.manifest["split"]["train"] == ["2013-01-01", "2013-01-20"]
    told = [one for one in events if one["event"] == "epoch"]
    assert [one["epoch"] for one in told] == [1, 2, 3]
    # Of both ranks: their mean and the one that waited longest.
    assert all(0 < one["waiting_share"] <= one["waiting_share_max"] < 1 for one in told)
    assert {one["epochs"] for one in events if one["event"] == "step"} == {3}
    assert not list(Path(lake.training("flights", "two-ranks")).glob("checkpoint-*"))


def test_a_run_that_finished_is_not_trained_again(trained, open_run, monkeypatch):
    from pipelines.training import launcher

    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("trained again"))
    again = run_stage("train", open_run("two-ranks"))
    before, _ = trained
    assert again.counts == before.counts
    assert again.details == before.details
    with pytest.raises(TrainingError, match=r"train\.epochs.*new run id"):
        run_stage("train", open_run("two-ranks", epochs=9))


def test_one_rank_gives_the_same_model_as_two(trained, launched, tmp_path):
    result, _ = trained
    one = launched(tmp_path, 1)
    two = load_bundle(result.details["bundle"])
    assert one.ranks == 1
    np.testing.assert_allclose(losses(one.history), losses(two.history), rtol=1e-5)
    for mine, other in zip(one.weights, weights_in(result.details["bundle"]), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


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
    assert re.search(r"its process is alive, in test_train\.py, line \d+ \(stick_once\)", notes[0])


def test_gpus_without_a_cluster_are_refused_before_ranks_start(open_run, training_set):
    with pytest.raises(SettingsError, match=r"gpu: 1`: Spark \(local\[2\]\) deals out no GPUs"):
        run_stage("train", open_run("gpus", resources={"gpu": 1}))


def test_an_error_of_the_task_is_told_with_its_rank_and_not_tried_again(launched, tmp_path):
    def fail(rank: int, epoch: int, step: int) -> None:
        if rank == 1:
            raise ValueError("no such thing")

    events: list[dict[str, Any]] = []
    with pytest.raises(TrainingError, match=r"^rank 1 .*failed: ValueError: no such thing"):
        launched(tmp_path, 2, fail, events.append)
    assert not [event for event in events if event["event"] == "note"]


def test_a_file_that_a_vacuum_removed_ends_the_training_and_is_named(spark, tmp_path):
    from pipelines.training.launcher import Ranks, launch
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
        launch(spark, functools.partial(train_rank, work=work), Ranks(2), events.append)
    assert not [one for one in events if one["event"] == "note"], "starting again would not help"


def test_ranks_share_the_cores_whatever_their_python_workers_did_before(spark):
    from pipelines.training.launcher import Ranks, launch

    def threads_of(rank: Any) -> tuple[int, ...]:
        import tensorflow as tf

        found = tf.config.threading
        return (
            rank.threads,
            found.get_intra_op_parallelism_threads(),
            found.get_inter_op_parallelism_threads(),
            int(os.environ["OMP_NUM_THREADS"]),
            os.getpid(),
        )

    *two, first = launch(spark, threads_of, Ranks(2))
    *one, second = launch(spark, threads_of, Ranks(1))
    assert (two, one) == ([1] * 4, [2] * 4)
    assert first != second, "the worker of a rank with one thread is not taken for one with two"


def test_classes_with_balanced_weights_train_with_gradients_in_float16(open_run, training_set):
    result = run_stage(
        "train",
        open_run(
            "classes",
            loss="categorical_crossentropy",
            classes=2,
            class_weights="balanced",
            gradient_compression="float16",
            accumulate_steps=2,
            epochs=3,
        ),
    )
    assert result.details["ranks"] == 2
    assert result.details["metrics"]["roc_auc"] > 0.7
    assert result.details["metrics"]["log_loss"] < result.details["constant_metrics"]["log_loss"]
    bundle = load_bundle(result.details["bundle"])
    assert np.sum(bundle.evaluation["confusion"]) == 250
    assert bundle.load_model().output_shape == (None, 2)


def test_more_ranks_than_slots_are_refused_with_the_number_there_is(open_run, training_set):
    with pytest.raises(TrainingError, match=r"needs 4 slots .* \(local\[2\]\) has 2"):
        run_stage("train", open_run("too-many", ranks=4))


def test_a_batch_larger_than_the_training_split_is_refused(open_run, training_set):
    with pytest.raises(SettingsError, match="5000` is more than the 1000 rows"):
        run_stage("train", open_run("too-large", batch_size=5000))


def test_a_version_that_no_longer_exists_is_refused_before_ranks_start(open_run, training_set):
    run = open_run("gone")
    run.resolve("train", lambda: {TABLE: 99, "gold.flights": 1})
    with pytest.raises(VersionNotFound, match="99"):
        run_stage("train", run)


def test_an_unknown_option_is_refused_before_ranks_start(open_run, training_set):
    with pytest.raises(SettingsError, match=r"train\.options\.hiden"):
        run_stage("train", open_run("typo", options={"hiden": [3]}))


def test_a_training_set_without_test_rows_is_refused(spark, tmp_path, open_run, training_set, lake):
    other = Lake(str(tmp_path / "other"))
    rows = read_at(spark, lake, TABLE, training_set).where("_split <> 'test'")
    replace_slice(rows, other, TABLE, "true", partition_by=["_split"])
    replace_slice(spark.range(1).toDF("x"), other, "gold.flights", "true")
    run = dataclasses.replace(open_run("no-test"), lake=other)
    with pytest.raises(EmptySplit, match="no rows in the split 'test'"):
        run_stage("train", run)


def test_only_a_better_candidate_becomes_champion(trained, open_run, lake):
    assert find_champion(lake, "flights_late") is None
    first = run_stage("promote", open_run("two-ranks"))
    assert first.details["champion_before"] is None
    assert champion(lake, "flights_late").version == 1
    # Again: the candidate is champion already.
    assert run_stage("promote", open_run("two-ranks")).details["model_version"] == 1

    weak = {"epochs": 1, "optimizer": {"learning_rate": 1e-6}}
    second = run_stage("train", open_run("weak", **weak)).counts["model_version"]
    assert second > 1
    with pytest.raises(GateRefused) as refused:
        run_stage("promote", open_run("weak", **weak))
    assert refused.value.exit_code == 3
    said = str(refused.value)
    result, _ = trained
    assert f"version {second} (run weak) was not promoted:\n- roc_auc is " in said
    area = result.details["metrics"]["roc_auc"]
    assert f"against {area:.4f} of the champion (version 1)" in said, "scored on the same rows"
    assert champion(lake, "flights_late").version == 1

    easy = {"threshold": 0.0, "beat_constant": False, "min_gain": -0.9}
    passed = run_stage("promote", open_run("later", easy))
    assert passed.details["model_version"] == second
    assert passed.details["champion_metrics"] == pytest.approx(result.details["metrics"], rel=1e-4)
    assert champion(lake, "flights_late").version == second

    late = run_stage("promote", open_run("two-ranks"))
    assert champion(lake, "flights_late").version == second, "a retry brings no old champion back"
    assert (late.details["model_version"], late.details["champion"]) == (1, second)
    assert late.read == result.read, "the tables that the judgement rests on"


FOLDED = {"folds": 2, "ranks": 1, "epochs": 2}


def test_folds_are_trained_once_each_and_reported_with_mean_and_deviation(
    training_set, open_run, lake, monkeypatch
):
    from pipelines.registry import tracking
    from pipelines.training import launcher

    launch, launched = launcher.launch, []

    def killed_in_fold_2(spark, task, *more):
        work = task.keywords["work"]
        launched.append((work.judged_on, work.rows.snapshots["train"].num_rows))
        if len(launched) == 2:
            raise KeyboardInterrupt
        return launch(spark, task, *more)

    monkeypatch.setattr(launcher, "launch", killed_in_fold_2)
    with pytest.raises(KeyboardInterrupt):
        run_stage("train", open_run("folded", **FOLDED))
    result = run_stage("train", open_run("folded", **FOLDED))

    # 25 days of 50 rows in three blocks; fold 2 again after its end, fold 1 never.
    fold_2 = ("validation", 800)
    assert launched == [("validation", 400), fold_2, fold_2, ("test", 1000)]
    folds = result.details["folds"]
    assert folds["count"] == 2
    assert [one["num_rows"] for one in folds["each"]] == [
        {"train": 400, "validation": 400},
        {"train": 800, "validation": 450},
    ]
    assert folds["each"][0]["what"] == (
        "trains on 2013-01-01 to 2013-01-08, judged on 2013-01-09 to 2013-01-16"
    )
    areas = [one["metrics"]["roc_auc"] for one in folds["each"]]
    assert folds["metrics"]["roc_auc"]["mean"] == pytest.approx(sum(areas) / 2)
    assert folds["metrics"]["roc_auc"]["std"] == pytest.approx(np.std(areas, ddof=1))
    for one in folds["each"]:
        assert one["metrics"]["loss"] == pytest.approx(one["metrics"]["log_loss"], rel=1e-5)
    bundle = load_bundle(result.details["bundle"])
    assert bundle.manifest["folds"] == folds
    assert result.read == {TABLE: training_set, f"{TABLE}_folds": 1, "gold.flights": 1}
    assert not Path(lake.training("flights", "folded"), "trials").exists()

    client = tracking._client(lake)
    experiment = client.get_experiment_by_name("flights").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`tidemill.run_id` = 'folded'")
    under = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name: run for run in client.search_runs([experiment], under)}
    assert sorted(children) == ["fold-1", "fold-2"]
    assert children["fold-2"].data.metrics["validation_roc_auc"] == pytest.approx(areas[1])
    assert children["fold-2"].data.params["rows.train"] == "800"
    assert parent.data.metrics["fold_mean_roc_auc"] == pytest.approx(sum(areas) / 2)


def test_folds_of_another_number_are_not_the_folds_asked_for(training_set, open_run):
    with pytest.raises(
        FeatureError, match=r"expected 3, .* `tidemill normalize flights --set train"
    ):
        run_stage("train", open_run("other-folds", folds=3))


SEARCH = {
    "ranks": 1,
    "epochs": 2,
    "search": {"space": {"optimizer.learning_rate": [1e-5, 0.02, 1e30]}, "metric": "roc_auc"},
}


def test_a_search_trains_the_best_settings_and_says_by_how_much_they_won(
    training_set, open_run, lake, monkeypatch
):
    from pipelines.registry import tracking
    from pipelines.training import launcher

    launch, launched = launcher.launch, []

    def killed_in_the_last_training(spark, task, *more):
        work = task.keywords["work"]
        launched.append((work.settings.optimizer.learning_rate, *work.rows.snapshots))
        if len(launched) == 4:
            raise KeyboardInterrupt
        return launch(spark, task, *more)

    monkeypatch.setattr(launcher, "launch", killed_in_the_last_training)
    with pytest.raises(KeyboardInterrupt):
        run_stage("train", open_run("searched", **SEARCH))
    result = run_stage("train", open_run("searched", **SEARCH))

    seen = ("train", "validation")
    final = (0.02, *seen, "test")
    assert launched == [(1e-5, *seen), (0.02, *seen), (1e30, *seen), final, final]
    found = result.details["search"]
    assert (found["best_trial"], found["best"]) == (2, {"optimizer.learning_rate": 0.02})
    areas = [one["metrics"].get("roc_auc") for one in found["trials"]]
    assert areas[2] is None, "a trial that diverges loses, and the search goes on"
    assert found["value"] == areas[1] > areas[0]
    assert found["ahead_of_next"] == pytest.approx(areas[1] - areas[0])
    manifest = load_bundle(result.details["bundle"]).manifest
    assert manifest["settings"]["optimizer"]["learning_rate"] == 0.02
    assert manifest["search"] == found

    client = tracking._client(lake)
    experiment = client.get_experiment_by_name("flights").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`tidemill.run_id` = 'searched'")
    under = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name: run for run in client.search_runs([experiment], under)}
    assert sorted(children) == ["trial-1", "trial-2", "trial-3"]
    assert children["trial-1"].data.params["optimizer.learning_rate"] == "1e-05"
    assert children["trial-2"].data.metrics["validation_roc_auc"] == pytest.approx(areas[1])
    assert parent.data.params["search.best_trial"] == "2"
    with pytest.raises(TrainingError, match=r"train\.search.*new run id"):
        run_stage("train", open_run("searched", ranks=1, epochs=2))


def test_an_option_the_model_lacks_is_refused_before_the_first_trial(
    training_set, open_run, monkeypatch
):
    from pipelines.training import launcher

    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("trained"))
    space = {"options.dropout": [0.1, 0.2], "options.hiden": [[3]]}
    with pytest.raises(SettingsError, match=r"train\.options\.hiden"):
        run_stage("train", open_run("typo-in-space", search={"space": space}))
