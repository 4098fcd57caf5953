"""Performance from binned predictions agrees with scikit-learn on the rows themselves."""

import datetime as dt

import numpy as np
import pytest

from pipelines.monitoring.performance import performance, roc_auc_of_bins

DAY = dt.date(2013, 12, 1)
SCHEMA = "scoring_date DATE, model_version INT, prediction DOUBLE, label DOUBLE"


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
    rows = [(DAY, 1, float(p), float(y)) for p, y in zip(predictions, labels, strict=True)]
    judged = performance(spark.createDataFrame(rows, SCHEMA), threshold=0.5)
    overall = judged.overall

    assert [day.scoring_date for day in judged.in_use] == [DAY]
    assert overall.roc_auc == pytest.approx(metrics.roc_auc_score(labels, predictions), abs=1e-4)
    assert overall.log_loss == pytest.approx(metrics.log_loss(labels, predictions), abs=1e-9)
    assert overall.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions >= 0.5))
    assert overall.predicted_rate == pytest.approx(predictions.mean())


@pytest.mark.spark
def test_rows_without_a_label_are_counted_apart_and_touch_no_metric(spark):
    rows = [(DAY, 1, 0.9, 1.0), (DAY, 1, 0.1, 0.0), (DAY, 1, 0.8, None)]
    overall = performance(spark.createDataFrame(rows, SCHEMA), threshold=0.5).overall
    assert (overall.num_rows, overall.num_labelled) == (3, 2)
    assert (overall.accuracy, overall.roc_auc, overall.observed_rate) == (1.0, 1.0, 0.5)


@pytest.mark.spark
def test_before_any_label_arrives_metrics_are_unknown(spark):
    frame = spark.createDataFrame([(DAY, 1, 0.9, None)], SCHEMA)
    overall = performance(frame, threshold=0.5).overall
    assert (overall.num_labelled, overall.roc_auc, overall.log_loss) == (0, None, None)


@pytest.mark.spark
def test_a_day_scored_by_two_versions_counts_with_the_newer_and_both_are_kept(spark):
    later = DAY + dt.timedelta(days=1)
    rows = [(DAY, 1, 0.9, 0.0), (DAY, 2, 0.9, 1.0), (later, 1, 0.2, 0.0)]
    judged = performance(spark.createDataFrame(rows, SCHEMA), threshold=0.5)
    versions = [(day.scoring_date, day.model_version) for day in judged.all]
    assert versions == [(DAY, 1), (DAY, 2), (later, 1)]
    assert [day.model_version for day in judged.in_use] == [2, 1]
    assert (judged.overall.num_rows, judged.overall.accuracy) == (2, 1.0)


@pytest.mark.spark
def test_classes_have_accuracy_and_log_loss(spark):
    rows = [
        (DAY, 1, 0.7, 1, [0.1, 0.7, 0.2], 1.0),
        (DAY, 1, 0.5, 0, [0.5, 0.25, 0.25], 2.0),
        (DAY, 1, 0.9, 0, [0.9, 0.05, 0.05], None),
    ]
    schema = "scoring_date DATE, model_version INT, prediction DOUBLE, predicted_class INT, "
    frame = spark.createDataFrame(rows, schema + "probabilities ARRAY<DOUBLE>, label DOUBLE")
    overall = performance(frame, 0.5, "classes").overall
    assert (overall.num_rows, overall.num_labelled, overall.accuracy) == (3, 2, 0.5)
    assert overall.log_loss == pytest.approx(-(np.log(0.7) + np.log(0.25)) / 2)
    assert (overall.roc_auc, overall.predicted_rate, overall.mae) == (None, None, None)


@pytest.mark.spark
def test_numbers_have_mean_errors(spark):
    rows = [(DAY, 1, 3.0, 1.0), (DAY, 1, -2.0, -1.0), (DAY, 1, 9.0, None)]
    overall = performance(spark.createDataFrame(rows, SCHEMA), 0.5, "number").overall
    assert (overall.num_rows, overall.mae, overall.mse) == (3, 1.5, 2.5)
    assert (overall.predicted_rate, overall.observed_rate) == (0.5, 0.0)
    assert (overall.roc_auc, overall.log_loss, overall.accuracy) == (None, None, None)


@pytest.mark.spark
def test_rates_and_a_constant_guess_are_judged_with_what_chance_explains(spark):
    from sklearn import metrics

    random = np.random.default_rng(3)
    rows = []
    for number in range(5):
        day = DAY + dt.timedelta(days=number)
        chances = random.beta(2, 5, size=400)
        # On one day far more comes true: rows of a day go together.
        labels = random.random(400) < chances * (2 if number == 4 else 1)
        rows += [(day, 1, float(p), float(y)) for p, y in zip(chances, labels, strict=True)]
    rows += [(DAY, 1, 0.99, None), (DAY, 1, 0.99, float("nan"))]
    overall = performance(spark.createDataFrame(rows, SCHEMA), 0.5, "binary", [0.3]).overall
    assert (overall.num_rows, overall.num_labelled) == (2002, 2000)

    predicted, observed = (np.array([row[n] for row in rows[:2000]]) for n in (2, 3))
    assert overall.guess_loss == pytest.approx(metrics.log_loss(observed, np.full(2000, 0.3)))
    residual = (predicted - observed).reshape(5, 400)
    alone = residual.std() / np.sqrt(2000)
    by_day = residual.mean(axis=1).std(ddof=1) / np.sqrt(5)
    assert overall.rate_error == pytest.approx(max(alone, by_day))
    assert by_day > alone
    assert 0 < overall.guess_error < 0.05
    ranks = np.argsort(np.floor(predicted * 10_000), kind="stable").reshape(10, 200)
    by_hand = np.mean([abs(predicted[part].mean() - observed[part].mean()) for part in ranks])
    assert overall.calibration_error == pytest.approx(by_hand, abs=0.01)
    assert 0 < overall.calibration_by_chance < 0.05

    numbers = [(DAY, 1, 3.0, 1.0), (DAY, 1, -2.0, -1.0), (DAY, 1, 9.0, None)]
    found = performance(spark.createDataFrame(numbers, SCHEMA), 0.5, "number", [2.0]).overall
    assert (found.guess_loss, found.label_deviation) == (pytest.approx((1 + 9) / 2), 1.0)
    schema = "scoring_date DATE, model_version INT, prediction DOUBLE, predicted_class INT, "
    classes = spark.createDataFrame(
        [(DAY, 1, 0.7, 1, [0.3, 0.7], 1.0)], schema + "probabilities ARRAY<DOUBLE>, label DOUBLE"
    )
    found = performance(classes, 0.5, "classes", [0.75, 0.25]).overall
    assert found.guess_loss == pytest.approx(-np.log(0.25))


@pytest.mark.spark
def test_accuracy_is_that_of_the_class_that_was_said(spark):
    rows = [(DAY, 1, 0.4, 1.0, 1), (DAY, 1, 0.4, 1.0, None)]
    frame = spark.createDataFrame(rows, f"{SCHEMA}, predicted_class INT")
    assert performance(frame, threshold=0.5).overall.accuracy == 0.5
