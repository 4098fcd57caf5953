"""Predicted against observed rates of a test split, and a constant guess beside them."""

from __future__ import annotations

import pytest

from pipelines.registry.calibration import (
    calibration,
    class_weight_cause,
    constant_guess,
    doubts,
    of_test_split,
    rate_gap,
)


def test_rates_are_means_over_rows_and_the_error_is_that_of_the_groups() -> None:
    found = calibration([(100, 0.1, 0.2), (300, 0.5, 0.4), (0, 0.9, 0.0)])
    assert found is not None
    assert (found.num_rows, found.predicted, found.observed) == (400, 0.4, pytest.approx(0.35))
    assert found.error == pytest.approx(0.1)
    chance = 0.25 * (0.09 / 100) ** 0.5 + 0.75 * (0.25 / 300) ** 0.5
    assert found.by_chance == pytest.approx(chance * (2 / 3.141592653589793) ** 0.5)
    assert calibration([]) is None


def test_a_gap_is_a_share_of_the_yes_or_of_the_no() -> None:
    assert rate_gap(0.137, 0.004) == pytest.approx(0.133 / 0.137)
    assert rate_gap(0.5, 0.9) == pytest.approx(0.8)
    assert rate_gap(0.0, 0.0) == 0


def groups(predicted: float, observed: float, rows: int = 1000) -> list[dict[str, float]]:
    return [{"predicted": predicted, "observed": observed, "num_rows": rows}]


def test_a_model_without_use_is_doubted_with_its_numbers() -> None:
    evaluation = {"calibration": groups(0.137, 0.004), "margin": {"mean": 0.12, "error": 0.001}}
    assert doubts({"log_loss": 0.15}, {"log_loss": 0.026}, evaluation) == [
        "its log_loss of 0.15 is no better than a constant guess's 0.026",
        "it predicts a rate of 0.137 where 0.004 was observed (1,000 rows)",
    ]
    assert doubts({"mse": 5.0}, {"mse": 4.0}, {"num_rows": 5000}) == [
        "its mse of 5 is no better than a constant guess's 4"
    ]


def test_what_few_rows_may_show_by_chance_is_no_doubt() -> None:
    evaluation = {"calibration": groups(0.3, 0.1, 10), "margin": {"mean": 0.12, "error": 0.1}}
    assert doubts({"log_loss": 0.15}, {"log_loss": 0.026}, evaluation) == []
    assert doubts({"mse": 5.0}, {"mse": 4.0}, {"num_rows": 8}) == []
    assert doubts({}, {}, {}) == []


def test_the_guess_of_older_bundles_is_that_of_their_test_split() -> None:
    assert constant_guess({"guess": [0.3]}, "binary") == (0.3,)
    assert constant_guess({"positive_rate": 0.2}, "binary") == (0.2,)
    assert constant_guess({"confusion": [[3, 1], [0, 0]]}, "classes") == (1.0, 0.0)
    assert constant_guess({"scatter": [[1.0, 5.0], [3.0, 5.0]]}, "number") == (2.0,)
    assert [constant_guess({}, task) for task in ("binary", "classes", "number")] == [None] * 3
    assert of_test_split({}) is None


def test_weighted_classes_are_named_as_the_cause_where_rates_were_judged() -> None:
    reasons = ["log_loss is 0.5000, expected less than the 0.1000 of a constant guess"]
    said = class_weight_cause({"class_weights": "balanced"}, reasons)
    assert said is not None
    assert said.startswith("Probable cause: `train.class_weights: balanced` makes the model say")
    assert class_weight_cause({"class_weights": None}, reasons) is None
    assert class_weight_cause({"class_weights": "balanced"}, ["roc_auc is 0.5"]) is None
