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
