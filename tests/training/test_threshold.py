"""The threshold is the best of all there are by what was asked for, on the rows it is chosen on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipelines.config.threshold import Threshold
from pipelines.registry.calibration import doubts, threshold_in_words
from pipelines.training.threshold import choose

asked_as: TypeAdapter[Any] = TypeAdapter(Threshold)
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda n: n / 20) | st.floats(1e-6, 1)),
    min_size=1,
    max_size=40,
)
RULES: list[Any] = [
    "f1",
    "youden",
    {"precision": 0.7},
    {"recall": 0.6},
    {"costs": {"false_positive": 1, "false_negative": 3}},
]


def counts(labels: np.ndarray[Any, Any], chances: np.ndarray[Any, Any], at: float) -> Any:
    is_called, is_yes = chances >= at, labels > 0.5
    return (is_called & is_yes).sum(), (is_called & ~is_yes).sum(), (~is_called & is_yes).sum()


def worth(rule: Any, labels: np.ndarray[Any, Any], hits: int, alarms: int, missed: int) -> Any:
    """What is to be largest; None where the cut is not what was asked for."""
    precision, recall = hits / max(1, hits + alarms), hits / (hits + missed)
    if rule == "f1":
        return 2 * hits / (2 * hits + alarms + missed)
    if rule == "youden":
        return recall - alarms / (labels < 0.5).sum()
    if "precision" in rule:
        return recall if precision >= rule["precision"] else None
    if "recall" in rule:
        return precision if recall >= rule["recall"] else None
    return -(alarms * rule["costs"]["false_positive"] + missed * rule["costs"]["false_negative"])


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(rows=ROWS)
def test_no_other_number_does_better(rule: Any, rows: list[tuple[int, float]]) -> None:
    labels, chances = (np.array(values, float) for values in zip(*rows, strict=True))
    found = choose(labels, chances, asked_as.validate_python(rule))
    assert 0 < found["value"] < 1
    if len(set(labels)) < 2:
        assert found["value"] == 0.5
        assert "labels of one kind" in found["unmet"]
        return
    mine = worth(rule, labels, *counts(labels, chances, found["value"]))
    others = [
        value
        for at in (*chances[chances > 0], 1 - 1e-12)
        if (value := worth(rule, labels, *counts(labels, chances, min(at, 1 - 1e-12)))) is not None
    ]
    if "unmet" in found:
        assert not others
        assert "no threshold reaches a " in found["unmet"]
    else:
        assert mine is not None
        assert mine == pytest.approx(max(others, default=mine))


@given(rows=ROWS, at=st.floats(0.001, 0.999))
def test_what_is_said_of_a_number_is_what_it_does(rows: list[tuple[int, float]], at: float) -> None:
    labels, chances = (np.array(values, float) for values in zip(*rows, strict=True))
    found = choose(labels, chances, at)
    hits, alarms, missed = counts(labels, chances, at)
    assert found["value"] == at
    assert found["at"]["share"] == pytest.approx((hits + alarms) / len(rows))
    assert found["at"]["recall"] == pytest.approx(hits / max(1, hits + missed))
    assert found["at"]["precision"] == pytest.approx(hits / max(1, hits + alarms))
    thresholds = [point["threshold"] for point in found["curve"]]
    assert thresholds == sorted(thresholds)


def test_a_number_lies_between_two_predictions_and_is_short() -> None:
    labels, chances = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.41234567, 0.9])
    assert choose(labels, chances, "f1")["value"] == 0.36


def test_the_curve_of_many_rows_is_short_and_goes_from_all_to_few() -> None:
    chances = np.linspace(0.001, 0.999, 50_000)
    labels = (np.arange(50_000) % 3 == 0).astype(float)
    curve = choose(labels, chances, "youden")["curve"]
    assert 90 <= len(curve) <= 100
    assert curve[0]["share"] > 0.98
    assert curve[-1]["share"] < 0.02


def test_a_threshold_says_what_it_was_chosen_by_and_an_unmet_wish_is_a_doubt() -> None:
    labels, chances = np.array([0, 1, 0]), np.array([0.2, 0.4, 0.6])
    met = choose(labels, chances, asked_as.validate_python({"recall": 1}))
    assert threshold_in_words(met) == (
        "0.3, by `recall: 1.0`: on the validation split 66.7 % are called yes, "
        "precision 0.5000, recall 1.0000"
    )
    unmet = choose(labels, chances, asked_as.validate_python({"precision": 0.8}))
    assert doubts({}, {}, {"threshold": unmet}) == [
        "its threshold of 0.3 is not what was asked for (precision: 0.8): no threshold reaches a "
        "precision of 0.8, the best 0.5"
    ]
    assert doubts({}, {}, {"threshold": met}) == []
