"""Trainings of several models: cross-validation, and a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.registry.bundle import load_bundle
from pipelines.runner import run_stage
from tests.integration.train.conftest import TABLE

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


FOLDED = {"folds": 2, "ranks": 1, "epochs": 2}


def test_folds_are_trained_once_each_and_reported_with_mean_and_deviation(
    training_set, open_run, lake, monkeypatch
):
    from pipelines.ranks import launcher
    from pipelines.registry.store import open_client

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

    client = open_client(lake)
    experiment = client.get_experiment_by_name("flights").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`tidemill.run_id` = 'folded'")
    under = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name: run for run in client.search_runs([experiment], under)}
    assert sorted(children) == ["fold-1", "fold-2"]
    assert children["fold-2"].data.metrics["validation_roc_auc"] == pytest.approx(areas[1])
    assert children["fold-2"].data.params["rows.train"] == "800"
    assert parent.data.metrics["fold_mean_roc_auc"] == pytest.approx(sum(areas) / 2)


SEARCH = {
    "ranks": 1,
    "epochs": 2,
    "search": {"space": {"optimizer.learning_rate": [1e-5, 0.02, 1e30]}, "metric": "roc_auc"},
}


def test_a_search_trains_the_best_settings_and_says_by_how_much_they_won(
    training_set, open_run, lake, monkeypatch
):
    from pipelines.ranks import launcher
    from pipelines.registry.store import open_client

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

    client = open_client(lake)
    experiment = client.get_experiment_by_name("flights").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`tidemill.run_id` = 'searched'")
    under = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name: run for run in client.search_runs([experiment], under)}
    assert sorted(children) == ["trial-1", "trial-2", "trial-3"]
    assert children["trial-1"].data.params["optimizer.learning_rate"] == "1e-05"
    assert children["trial-2"].data.metrics["validation_roc_auc"] == pytest.approx(areas[1])
    assert parent.data.params["search.best_trial"] == "2"
    with pytest.raises(TrainingError, match=r"train\.search.*--run-id NEW"):
        run_stage("train", open_run("searched", ranks=1, epochs=2))


def test_a_search_with_folds_judges_each_trial_by_the_mean_over_them(
    training_set, open_run, lake, monkeypatch
):
    from pipelines.ranks import launcher
    from pipelines.registry.store import open_client

    launch, judged = launcher.launch, []

    def noting(spark, task, *more):
        work = task.keywords["work"]
        rate = work.settings.optimizer.learning_rate
        judged.append((rate, work.rows.snapshots["train"].num_rows))
        return launch(spark, task, *more)

    monkeypatch.setattr(launcher, "launch", noting)
    space = {"space": {"optimizer.learning_rate": [1e-5, 0.02]}, "metric": "roc_auc"}
    both = {"folds": 2, "ranks": 1, "epochs": 1, "search": space}
    result = run_stage("train", open_run("searched-with-folds", **both))

    assert judged == [(1e-5, 400), (1e-5, 800), (0.02, 400), (0.02, 800), (0.02, 1000)]
    found, folds = result.details["search"], result.details["folds"]
    assert found["best"] == {"optimizer.learning_rate": 0.02}
    assert found["value"] == pytest.approx(folds["metrics"]["roc_auc"]["mean"])
    assert found["trials"][1]["metrics"]["roc_auc"] == found["value"]

    client = open_client(lake)
    experiment = client.get_experiment_by_name("flights").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`tidemill.run_id` = 'searched-with-folds'")
    under = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name for run in client.search_runs([experiment], under)}
    assert children == {
        *("trial-1", "trial-1-fold-1", "trial-1-fold-2"),
        *("trial-2", "trial-2-fold-1", "trial-2-fold-2"),
    }
