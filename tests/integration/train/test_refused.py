"""What `train` refuses before ranks start."""

from __future__ import annotations

import dataclasses

import pytest

from pipelines.errors import EmptySplit, FeatureError, SettingsError, TrainingError, VersionNotFound
from pipelines.lake.catalog import Lake
from pipelines.lake.read import read_at
from pipelines.lake.write import replace_slice
from pipelines.run import Versions
from pipelines.runner import run_stage
from tests.integration.train.conftest import TABLE

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


def test_gpus_without_a_cluster_are_refused_before_ranks_start(open_run, training_set):
    with pytest.raises(SettingsError, match=r"gpu: 1`: Spark \(local\[2\]\) deals out no GPUs"):
        run_stage("train", open_run("gpus", resources={"gpu": 1}))


def test_more_ranks_than_slots_are_refused_with_the_number_there_is(open_run, training_set):
    with pytest.raises(TrainingError, match=r"needs 4 slots .* \(local\[2\]\) has 2"):
        run_stage("train", open_run("too-many", ranks=4))


def test_a_batch_larger_than_the_training_split_is_refused(open_run, training_set):
    with pytest.raises(SettingsError, match="5000` is more than the 1000 rows"):
        run_stage("train", open_run("too-large", batch_size=5000))


def test_a_version_that_no_longer_exists_is_refused_before_ranks_start(open_run, training_set):
    run = open_run("gone")
    run.resolve(Versions, "train", lambda: Versions({TABLE: 99, "gold.flights": 1}))
    with pytest.raises(VersionNotFound, match="99"):
        run_stage("train", run)


def test_an_unknown_option_is_refused_before_ranks_start(open_run, training_set):
    with pytest.raises(SettingsError, match=r"train\.options\.hiden"):
        run_stage("train", open_run("typo", options={"hiden": [3]}))


def test_a_training_set_without_test_rows_is_refused(spark, tmp_path, open_run, training_set, lake):
    other = Lake(str(tmp_path / "other"))
    rows = read_at(spark, lake, TABLE, training_set).where("split <> 'test'")
    replace_slice(rows, other, TABLE, "true", partition_by=["split"])
    replace_slice(spark.range(1).toDF("x"), other, "gold.flights", "true")
    run = dataclasses.replace(open_run("no-test"), lake=other)
    with pytest.raises(EmptySplit, match="no rows in the split 'test'"):
        run_stage("train", run)


def test_folds_of_another_number_are_not_the_folds_asked_for(training_set, open_run):
    with pytest.raises(
        FeatureError, match=r"expected 3, .* `tidemill normalize flights --set train"
    ):
        run_stage("train", open_run("other-folds", folds=3))


def test_an_option_the_model_lacks_is_refused_before_the_first_trial(
    training_set, open_run, monkeypatch
):
    from pipelines.ranks import launcher

    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("trained"))
    space = {"options.dropout": [0.1, 0.2], "options.hiden": [[3]]}
    with pytest.raises(SettingsError, match=r"train\.options\.hiden"):
        run_stage("train", open_run("typo-in-space", search={"space": space}))
