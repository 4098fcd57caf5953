from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from pipelines.training.evaluate import (
    calibration,
    evaluation,
    metrics,
    roc_points,
)
from pipelines.training.scores import BINS, Scores, bins_of, roc_auc_of

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@given(st.lists(FLOATS, min_size=2, max_size=50))
def test_bins_rise_with_outputs(values: list[float]) -> None:
    ordered = np.sort(np.array(values, dtype=np.float32))
    bins = bins_of(ordered)
    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < BINS


def test_infinite_outputs_have_bins_too() -> None:
    assert (np.diff(bins_of(np.array([-np.inf, -1, 0, 1, np.inf]))) > 0).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_roc_auc_from_bins_is_that_of_the_rows_to_four_digits(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random(5000) < 0.3).astype(np.float32)
    outputs = (random.normal(size=5000) + labels - 1).astype(np.float32)
    scores = Scores("binary")
    for part in np.array_split(np.arange(5000), 7):
        scores.add(np.zeros(len(part)), labels[part], outputs[part, None])
    found = scores.metrics(scores.sums)["roc_auc"]
    assert found == pytest.approx(roc_auc_score(labels, outputs), abs=5e-5)


def test_sums_of_two_ranks_give_the_metrics_of_all_rows() -> None:
    whole, one, other = (Scores("binary") for _ in range(3))
    labels = np.array([0, 1, 1, 0], np.float32)
    outputs = np.array([[-1], [2], [0.5], [1]], np.float32)
    losses = np.array([0.5, 0.25, 1, 2])
    whole.add(losses, labels, outputs)
    one.add(losses[:1], labels[:1], outputs[:1])
    other.add(losses[1:], labels[1:], outputs[1:])
    found = whole.metrics(one.sums + other.sums)
    assert found == whole.metrics(whole.sums)
    assert found == {"loss": 0.9375, "accuracy": 0.75, "roc_auc": 0.75}


def test_roc_auc_without_a_class_is_no_number() -> None:
    assert np.isnan(roc_auc_of(np.array([3.0]), np.array([0.0])))


def test_metrics_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels = (random.random(400) < 0.4).astype(float)
    chance = np.clip(0.4 * labels + random.random(400) * 0.6, 0, 1)
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

    said = chance >= 0.5
    assert metrics(labels, chance) == pytest.approx(
        {
            "accuracy": accuracy_score(labels, said),
            "precision": precision_score(labels, said),
            "recall": recall_score(labels, said),
            "f1": f1_score(labels, said),
            "roc_auc": roc_auc_score(labels, chance),
            "log_loss": log_loss(labels, chance),
        }
    )


def test_weights_count_rows_as_often_as_they_say() -> None:
    labels, chance = np.array([0, 1, 1.0]), np.array([0.2, 0.6, 0.4])
    weighted = metrics(labels, chance, np.array([1.0, 2.0, 1.0]))
    assert weighted == pytest.approx(
        metrics(np.array([0, 1, 1, 1.0]), np.array([0.2, 0.6, 0.6, 0.4]))
    )


def test_sure_and_wrong_predictions_have_a_finite_loss() -> None:
    assert np.isfinite(metrics(np.array([0, 1.0]), np.array([1.0, 0.0]))["log_loss"])


def test_no_rows_and_one_class_give_no_numbers_instead_of_errors() -> None:
    assert all(np.isnan(value) for value in metrics(np.array([]), np.array([])).values())
    found = metrics(np.ones(3), np.full(3, 0.2))
    assert np.isnan(found["roc_auc"])
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_a_constant_guess_ranks_nothing() -> None:
    labels = np.array([0, 0, 0, 1.0])
    found = evaluation(labels, np.zeros((4, 1)), [0.25], "binary")["constant"]
    assert found["roc_auc"] == 0.5
    assert found["accuracy"] == 0.75
    assert found["log_loss"] == pytest.approx(log_loss(labels, np.full(4, 0.25)))


def test_curves_are_short_and_cover_all_rows() -> None:
    random = np.random.default_rng(2)
    chance = random.random(5000)
    labels = (random.random(5000) < chance).astype(float)
    points = roc_points(labels, chance)
    assert len(points) <= 200
    assert (points[0], points[-1]) == ([0.0, 0.0], [1.0, 1.0])
    bins = calibration(labels, chance)
    assert sum(one["num_rows"] for one in bins) == 5000
    assert all(abs(one["predicted"] - one["observed"]) < 0.1 for one in bins)


def test_an_evaluation_takes_logits() -> None:
    found = evaluation(np.array([0.0, 1.0]), np.array([[-1.0], [1.0]]), [0.5], "binary")
    assert found["metrics"]["log_loss"] == pytest.approx(np.log1p(np.exp(-1)))
    assert found["num_rows"] == 2


def test_metrics_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    from pipelines.training.evaluate import predictions

    random = np.random.default_rng(4)
    labels = random.integers(0, 4, 500).astype(np.float32)
    logits = random.normal(size=(500, 4)) + 1.5 * np.eye(4)[labels.astype(int)]
    found = evaluation(labels, logits, [0.25] * 4, "classes")
    chance = predictions(logits, "classes")
    said = chance.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, said, average="macro")
    assert found["metrics"] == pytest.approx(
        {
            "accuracy": accuracy_score(labels, said),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "roc_auc": roc_auc_score(labels, chance, multi_class="ovr", average="macro"),
            "log_loss": log_loss(labels, chance),
        }
    )
    assert found["constant"]["log_loss"] == pytest.approx(np.log(4))
    assert found["constant"]["roc_auc"] == 0.5
    matrix = np.array(found["confusion"])
    assert matrix.sum() == 500
    assert np.trace(matrix) == round(500 * found["metrics"]["accuracy"])


def test_classes_that_no_row_has_leave_metrics_that_are_numbers() -> None:
    labels, logits = np.zeros(3, np.float32), np.array([[2.0, 0, 0]] * 3)
    found = evaluation(labels, logits, [1.0, 0.0, 0.0], "classes")
    assert (found["metrics"]["accuracy"], found["metrics"]["f1"]) == (1.0, 1.0)
    assert np.isnan(found["metrics"]["roc_auc"])
    empty = evaluation(np.zeros(0), np.zeros((0, 3)), [1.0, 0.0, 0.0], "classes")
    assert all(np.isnan(value) for value in empty["metrics"].values())


def test_metrics_of_numbers_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    random = np.random.default_rng(4)
    labels = random.normal(size=2000)
    values = labels + random.normal(size=2000) / 2
    found = evaluation(labels, values[:, None], [float(labels.mean())], "number")
    assert found["metrics"] == pytest.approx(
        {
            "mse": mean_squared_error(labels, values),
            "mae": mean_absolute_error(labels, values),
            "r2": r2_score(labels, values),
        }
    )
    assert found["constant"]["r2"] == pytest.approx(0, abs=1e-12)
    assert len(found["scatter"]) == 500
    empty = evaluation(np.zeros(0), np.zeros((0, 1)), [0.0], "number")
    assert empty["scatter"] == []


@pytest.mark.parametrize("task", ["classes", "number"])
def test_validation_metrics_add_up_over_ranks(task: str) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 60).astype(np.float32)
    outputs = random.normal(size=(60, 3 if task == "classes" else 1)).astype(np.float32)
    whole, one, other = (Scores(task) for _ in range(3))
    whole.add(np.ones(60), labels, outputs)
    one.add(np.ones(20), labels[:20], outputs[:20])
    other.add(np.ones(40), labels[20:], outputs[20:])
    found = whole.metrics(one.sums + other.sums)
    assert found == pytest.approx(whole.metrics(whole.sums))
    if task == "classes":
        assert found["accuracy"] == pytest.approx(np.mean(outputs.argmax(axis=1) == labels))
    else:
        assert found["mse"] == pytest.approx(np.mean((outputs[:, 0] - labels) ** 2))
        assert found["mae"] == pytest.approx(np.mean(np.abs(outputs[:, 0] - labels)))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_validation_and_test_judge_by_the_threshold_that_scoring_uses(threshold) -> None:
    random = np.random.default_rng(2)
    logits = random.normal(size=500).astype(np.float32)
    labels = (random.random(500) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    is_yes = 1 / (1 + np.exp(-logits.astype(np.float64))) >= threshold
    scores = Scores("binary", threshold)
    scores.add(np.zeros(500), labels, logits[:, None])
    right = float(np.mean(is_yes == (labels > 0.5)))
    assert scores.metrics(scores.sums)["accuracy"] == pytest.approx(right)
    found = evaluation(labels, logits[:, None], [0.5], "binary", threshold)
    assert found["metrics"]["accuracy"] == pytest.approx(right)
    assert found["metrics"]["recall"] == pytest.approx(float(is_yes[labels > 0.5].mean()))


def test_an_evaluation_keeps_the_guess_and_how_sure_its_difference_is() -> None:
    labels = np.array([0.0, 1.0, 1.0, 0.0])
    found = evaluation(labels, np.array([[-2.0], [1.0], [2.0], [0.5]]), [0.5], "binary")
    margin = found["margin"]
    assert found["guess"] == [0.5]
    difference = found["metrics"]["log_loss"] - found["constant"]["log_loss"]
    assert margin["mean"] == pytest.approx(difference)
    assert margin["error"] > 0
    classes = evaluation(labels, np.zeros((4, 2)), [0.75, 0.25], "classes")
    difference = classes["metrics"]["log_loss"] - classes["constant"]["log_loss"]
    assert classes["margin"]["mean"] == pytest.approx(difference)
    numbers = evaluation(labels, np.full((4, 1), 2.0), [0.5], "number")
    assert numbers["margin"]["mean"] == pytest.approx((4 + 1 + 1 + 4) / 4 - 0.25)
    nothing = evaluation(np.zeros(0), np.zeros((0, 1)), [0.5], "binary")["margin"]
    assert nothing == {"mean": 0.0, "error": 0.0}
