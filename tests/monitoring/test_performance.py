"""Performance from binned predictions agrees with scikit-learn on the rows themselves."""

import datetime as dt

import numpy as np
import pytest

from pipelines.monitoring.performance import performance, roc_auc_of_bins

DAY = dt.date(2013, 12, 1)


def test_auc_counts_pairs_and_gives_half_for_ties():
    positives, negatives = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 2.0])
    # pairs: (bin 0 against 0, 2, 2) = 1/2 + 0 + 0, (bin 1 against 0, 2, 2) = 1 + 0 + 0
    assert roc_auc_of_bins(positives, negatives) == pytest.approx(1.5 / 6)


def test_auc_of_one_class_is_unknown():
    assert roc_auc_of_bins(np.array([3.0]), np.array([0.0])) is None


@pytest.mark.spark
def test_metrics_agree_with_scikit_learn(spark):
    from sklearn import metrics

    random = np.random.default_rng(5)
    predictions = random.beta(2, 5, size=2000)
    labels = (random.random(2000) < predictions).astype(float)
    rows = [(DAY, float(p), float(y)) for p, y in zip(predictions, labels, strict=True)]
    frame = spark.createDataFrame(rows, "scoring_date DATE, prediction DOUBLE, label DOUBLE")
    by_date, overall = performance(frame, threshold=0.5)

    assert [day.scoring_date for day in by_date] == [DAY]
    assert overall.roc_auc == pytest.approx(metrics.roc_auc_score(labels, predictions), abs=1e-4)
    assert overall.log_loss == pytest.approx(metrics.log_loss(labels, predictions), abs=1e-9)
    assert overall.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions >= 0.5))
    assert overall.predicted_rate == pytest.approx(predictions.mean())


@pytest.mark.spark
def test_rows_without_a_label_are_counted_apart_and_touch_no_metric(spark):
    rows = [(DAY, 0.9, 1.0), (DAY, 0.1, 0.0), (DAY, 0.8, None)]
    frame = spark.createDataFrame(rows, "scoring_date DATE, prediction DOUBLE, label DOUBLE")
    _, overall = performance(frame, threshold=0.5)
    assert (overall.num_rows, overall.num_labelled) == (3, 2)
    assert (overall.accuracy, overall.roc_auc, overall.observed_rate) == (1.0, 1.0, 0.5)


@pytest.mark.spark
def test_before_any_label_arrives_metrics_are_unknown(spark):
    frame = spark.createDataFrame(
        [(DAY, 0.9, None)], "scoring_date DATE, prediction DOUBLE, label DOUBLE"
    )
    _, overall = performance(frame, threshold=0.5)
    assert (overall.num_labelled, overall.roc_auc, overall.log_loss) == (0, None, None)
