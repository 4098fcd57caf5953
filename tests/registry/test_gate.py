from __future__ import annotations

import pytest

from pipelines.config.train import Promote
from pipelines.registry.gate import Rival, compares_with_champion, gain, reasons_to_refuse, refusal

CONSTANT = {"roc_auc": 0.5, "log_loss": 0.56, "accuracy": 0.75}
GOOD = {"roc_auc": 0.66, "log_loss": 0.53, "accuracy": 0.76}


def test_a_good_first_candidate_passes() -> None:
    assert reasons_to_refuse(Promote(threshold=0.6), GOOD, CONSTANT) == []


def test_all_reasons_are_told_with_their_numbers() -> None:
    bad = {"roc_auc": 0.55, "log_loss": 0.57}
    settings = Promote(threshold=0.6, min_gain=0.01)
    assert reasons_to_refuse(settings, bad, CONSTANT, Rival(3, GOOD)) == [
        "roc_auc is 0.5500, expected at least 0.6000 (`promote.threshold`)",
        "log_loss is 0.5700, expected less than the 0.5600 of a constant guess "
        "(`promote.beat_constant`)",
        "roc_auc is 0.5500 against 0.6600 of the champion (version 3) on the same rows: a gain of "
        "-0.1100, expected at least +0.0100 (`promote.min_gain`)",
    ]


def test_log_loss_is_better_when_lower() -> None:
    settings = Promote(metric="log_loss", threshold=0.54, min_gain=0.01)
    rival = Rival(1, {"log_loss": 0.55})
    assert reasons_to_refuse(settings, GOOD, CONSTANT, rival) == []
    assert gain("log_loss", GOOD, rival.metrics) == pytest.approx(0.02)
    worse = {**GOOD, "log_loss": 0.545}
    assert len(reasons_to_refuse(settings, worse, CONSTANT, rival)) == 2


def test_a_metric_that_is_no_number_is_refused() -> None:
    nothing = {"roc_auc": float("nan"), "log_loss": float("nan")}
    reasons = reasons_to_refuse(Promote(threshold=0.1), nothing, CONSTANT, Rival(1, GOOD))
    assert len(reasons) == 3


def test_the_same_model_again_passes_where_no_gain_is_asked() -> None:
    assert reasons_to_refuse(Promote(threshold=0.6), GOOD, CONSTANT, Rival(1, GOOD)) == []


def test_a_small_loss_may_be_tolerated() -> None:
    slightly_worse = {**GOOD, "roc_auc": 0.656}
    settings = Promote(threshold=0.6, min_gain=-0.005)
    assert reasons_to_refuse(settings, slightly_worse, CONSTANT, Rival(1, GOOD)) == []
    much_worse = {**GOOD, "roc_auc": 0.65}
    assert len(reasons_to_refuse(settings, much_worse, CONSTANT, Rival(1, GOOD))) == 1


def test_the_constant_guess_may_be_left_out() -> None:
    settings = Promote(threshold=0.6, beat_constant=False)
    assert reasons_to_refuse(settings, {**GOOD, "log_loss": 0.9}, CONSTANT) == []


def test_a_tolerance_of_one_waives_the_comparison() -> None:
    assert not compares_with_champion(Promote(threshold=0.6, min_gain=-1))
    assert compares_with_champion(Promote(threshold=0.6, min_gain=-0.005))


def test_errors_of_numbers_are_better_when_lower() -> None:
    constant = {"mse": 4.0, "mae": 1.5, "r2": 0.0}
    good = {"mse": 2.0, "mae": 1.0, "r2": 0.5}
    settings = Promote(metric="mae", threshold=1.2, min_gain=0.1)
    assert reasons_to_refuse(settings, good, constant, Rival(1, {"mae": 1.2})) == []
    worse = {**good, "mae": 1.6}
    assert reasons_to_refuse(settings, worse, constant, Rival(1, {"mae": 1.2})) == [
        "mae is 1.6000, expected at most 1.2000 (`promote.threshold`)",
        "mae is 1.6000, expected less than the 1.5000 of a constant guess "
        "(`promote.beat_constant`)",
        "mae is 1.6000 against 1.2000 of the champion (version 1) on the same rows: a gain of "
        "-0.4000, expected at least +0.1000 (`promote.min_gain`)",
    ]
    assert reasons_to_refuse(Promote(metric="r2", threshold=0.4), good, constant) == []
    assert len(reasons_to_refuse(Promote(metric="r2", threshold=0.4), constant, constant)) == 2


def test_a_comparison_by_a_number_has_no_bound_to_waive_it() -> None:
    for metric in ("mse", "mae", "r2", "log_loss"):
        settings = Promote(metric=metric, threshold=0.9, min_gain=-50)
        assert compares_with_champion(settings), metric
    assert not compares_with_champion(settings.model_copy(update={"compare_with_champion": False}))


def test_a_refusal_names_its_reasons_the_rates_that_are_off_and_weighted_classes_as_the_cause() -> (
    None
):
    reasons = ["log_loss is 0.1500, expected less than the 0.0260 of a constant guess"]
    doubts = ["its log_loss is no better", "it predicts a rate of 0.137 where 0.004 was observed"]
    said = refusal("m version 2 (run r)", reasons, doubts, {"class_weights": {1: 50.0}})
    assert said.splitlines()[:3] == [
        "m version 2 (run r) was not promoted:",
        f"- {reasons[0]}",
        "On its test split it predicts a rate of 0.137 where 0.004 was observed.",
    ]
    assert "Probable cause: `train.class_weights: {1: 50.0}` makes the model say other" in said
    assert said.endswith("with `promote.beat_constant: false`.\nThe champion stays as it was.")
    plain = refusal("m version 2 (run r)", reasons, [], {"class_weights": None})
    assert plain.splitlines()[2] == "Train a better model, or change the threshold named."
