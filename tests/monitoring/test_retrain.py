"""The reasons to train a model again."""

import datetime as dt
from dataclasses import replace

import pytest

from pipelines.config.score import Monitor
from pipelines.monitoring.drift import FeatureDrift
from pipelines.monitoring.performance import Performance
from pipelines.monitoring.retrain import reasons_to_retrain

CALM = FeatureDrift("distance", 0.01, 0.0, 0.0, "ok")
MOVED = FeatureDrift("temp", 0.61, 0.01, 0.02, "fail")


def month(roc_auc):
    return Performance(dt.date(2013, 12, 1), 3, 900, 880, 0.24, 0.26, roc_auc, 0.5, 0.77)


def test_drift_and_a_lost_auc_call_for_a_new_training():
    reasons = reasons_to_retrain([MOVED, CALM], month(0.58), {"roc_auc": 0.66}, "binary", Monitor())
    assert reasons == [
        "1 of 2 features have drifted: temp (PSI 0.61)",
        "ROC AUC is 0.580, 0.080 below the test split's 0.660 (allowed: 0.05)",
    ]


def test_drift_that_can_t_be_measured_calls_for_a_new_training():
    limits, test = Monitor(), {"roc_auc": 0.66}
    assert reasons_to_retrain([], month(0.66), test, "binary", limits, "rows are gone") == [
        "rows are gone"
    ]


@pytest.mark.parametrize("auc", [0.62, None])
def test_small_losses_and_missing_labels_call_for_nothing(auc):
    assert reasons_to_retrain([CALM], month(auc), {"roc_auc": 0.66}, "binary", Monitor()) == []


@pytest.mark.parametrize(
    ("task", "test", "now", "reason"),
    [
        (
            "classes",
            {"accuracy": 0.9},
            {"accuracy": 0.8},
            "accuracy is 0.800, 0.100 below the test split's 0.900 (allowed: 0.05)",
        ),
        ("classes", {"accuracy": 0.9}, {"accuracy": 0.86}, None),
        (
            "number",
            {"mae": 2.0},
            {"mae": 2.5},
            "the mean absolute error is 2.5, 25% above the test split's 2 (allowed: 10%)",
        ),
        ("number", {"mae": 2.0}, {"mae": 1.5}, None),
    ],
)
def test_classes_and_numbers_are_judged_by_a_metric_of_theirs(task, test, now, reason):
    overall = replace(month(None), **now)
    assert reasons_to_retrain([CALM], overall, test, task, Monitor()) == (
        [reason] if reason else []
    )


def judged(**changes):
    return replace(month(0.66), **{"rate_error": 0.01, **changes})


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (
            {"predicted_rate": 0.137, "observed_rate": 0.004},
            "a rate of 0.137 was predicted where 0.004 was observed: they differ by 97% of the "
            "larger one (allowed: 50%)",
        ),
        (
            {"predicted_rate": 0.5, "observed_rate": 0.9},
            "a rate of 0.5 was predicted where 0.9 was observed: they differ by 80% of the larger "
            "one (allowed: 50%)",
        ),
        ({"predicted_rate": 0.24, "observed_rate": 0.33}, None),
        # Four yeses of so few rows may be chance.
        ({"predicted_rate": 0.137, "observed_rate": 0.004, "rate_error": 0.05}, None),
        (
            {"log_loss": 0.15, "guess_loss": 0.026, "guess_error": 0.001},
            "log loss is 0.15, worse than the 0.026 of a constant guess: on these days the model "
            "is of no use",
        ),
        ({"log_loss": 0.15, "guess_loss": 0.026, "guess_error": 0.1}, None),
        ({"log_loss": 0.5, "guess_loss": 0.56, "guess_error": 0.001}, None),
        (
            {"calibration_error": 0.2, "calibration_by_chance": 0.01},
            "predicted and observed rates of like rows are 0.200 apart on the mean (allowed: 0.1; "
            "by chance: 0.010)",
        ),
        ({"calibration_error": 0.2, "calibration_by_chance": 0.15}, None),
    ],
)
def test_a_model_that_says_other_rates_than_those_observed_is_told(now, reason):
    found = reasons_to_retrain([CALM], judged(**now), {"roc_auc": 0.66}, "binary", Monitor())
    assert found == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (
            {"predicted_rate": 9.0, "observed_rate": 2.0},
            "predictions lie 7 above the labels' mean of 2; the labels' standard deviation is 4 "
            "(allowed: 50% of it)",
        ),
        ({"predicted_rate": 3.0, "observed_rate": 2.0}, None),
        ({"predicted_rate": 9.0, "observed_rate": 2.0, "rate_error": 3.0}, None),
        (
            {"mse": 20.0, "guess_loss": 16.0, "guess_error": 1.0},
            "the mean squared error is 20, worse than the 16 of a constant guess: on these days "
            "the model is of no use",
        ),
    ],
)
def test_numbers_that_are_biased_or_worse_than_a_guess_are_told(now, reason):
    overall = replace(judged(roc_auc=None, log_loss=None), label_deviation=4.0, **now)
    assert reasons_to_retrain([], overall, {}, "number", Monitor()) == ([reason] if reason else [])


def test_a_metric_of_few_rows_may_fall_by_chance():
    test, few = {"roc_auc": 0.66}, replace(month(0.55), num_labelled=40)
    assert reasons_to_retrain([], few, test, "binary", Monitor()) == []
    many = replace(few, num_labelled=4000)
    assert len(reasons_to_retrain([], many, test, "binary", Monitor())) == 1
