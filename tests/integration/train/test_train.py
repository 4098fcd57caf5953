"""Training on real ranks, from a training set to a bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.registry.bundle import load_bundle
from pipelines.registry.tracking import newest_version
from pipelines.runner import run_stage
from tests.integration.train.conftest import TABLE, losses, weights_in

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


def test_a_training_leaves_a_bundle_that_says_where_it_came_from(trained, lake, training_set):
    result, events = trained
    bundle = load_bundle(result.details["bundle"])
    assert bundle.tables == {TABLE: training_set, "gold.flights": 1}
    assert result.counts == {
        "train_rows": 1000,
        "validation_rows": 250,
        "test_rows": 250,
        "epochs": 3,
        "model_version": newest_version(lake, "flights_late", "two-ranks").version,
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
    from pipelines.ranks import launcher

    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("trained again"))
    again = run_stage("train", open_run("two-ranks"))
    before, _ = trained
    assert again.counts == before.counts
    assert again.details == before.details
    with pytest.raises(TrainingError, match=r"train\.epochs.*--run-id NEW"):
        run_stage("train", open_run("two-ranks", epochs=9))


def test_one_rank_gives_the_same_model_as_two(trained, launched, tmp_path):
    result, _ = trained
    one = launched(tmp_path, 1)
    two = load_bundle(result.details["bundle"])
    assert one.ranks == 1
    np.testing.assert_allclose(losses(one.history), losses(two.history), rtol=1e-5)
    for mine, other in zip(one.weights, weights_in(result.details["bundle"]), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_ranks_share_the_cores_whatever_their_python_workers_did_before(spark):
    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.training.backend import TensorFlow

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

    *two, first = launch(spark, threads_of, Ranks(2), TensorFlow())
    *one, second = launch(spark, threads_of, Ranks(1), TensorFlow())
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
