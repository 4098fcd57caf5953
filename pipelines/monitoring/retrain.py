"""When a model should be trained again: features that drifted, a model that got worse, or is wrong.

What few rows show by chance is no reason: a difference counts when it is larger than allowed and
larger than `SURELY` of its standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import ABOUT
from pipelines.registry.calibration import SURELY, rate_gap

if TYPE_CHECKING:
    from pipelines.config.losses import Task
    from pipelines.config.score import Monitor
    from pipelines.monitoring.drift import FeatureDrift
    from pipelines.monitoring.performance import Performance

_NAMED_FEATURES = 5


def reasons_to_retrain(
    drifts: Sequence[FeatureDrift],
    overall: Performance,
    test: dict[str, Any],
    task: Task,
    limits: Monitor,
    without_drift: str = "",
) -> list[str]:
    """Return why the model should be trained again; nothing where all is well.

    `without_drift` says why drift can't be measured, where that is so.
    """
    reasons = [without_drift] if without_drift else []
    drifted = [drift for drift in drifts if drift.severity == "fail"]
    if drifted:
        most = ", ".join(f"{d.feature} (PSI {d.psi:.2f})" for d in drifted[:_NAMED_FEATURES])
        others = " and others" if len(drifted) > _NAMED_FEATURES else ""
        reasons.append(f"{len(drifted)} of {len(drifts)} features have drifted: {most}{others}")
    judged = (
        _worse_than_in_test(overall, test, task, limits),
        _worse_than_a_guess(overall, task),
        _biased(overall, limits) if task == "number" else _off_the_rate(overall, limits),
        _miscalibrated(overall, limits),
    )
    return [*reasons, *(reason for reason in judged if reason)]


def _worse_than_in_test(
    overall: Performance, test: dict[str, Any], task: Task, limits: Monitor
) -> str | None:
    """Return what the task's metric has lost, where that is more than is allowed."""
    metric, allowed = {
        "binary": ("roc_auc", limits.max_auc_drop),
        "classes": ("accuracy", limits.max_accuracy_drop),
        "number": ("mae", limits.max_mae_rise),
    }[task]
    name = ABOUT[metric].title
    then, now = test.get(metric), getattr(overall, metric)
    if then is None or now is None or abs(then - now) <= SURELY * _error(overall, task):
        return None
    if task == "number":
        rise = (now - then) / then if then else float(now > 0)
        if rise <= allowed:
            return None
        return (
            f"the {name} is {now:.4g}, {rise:.0%} above the test split's {then:.4g} "
            f"(allowed: {allowed:.0%})"
        )
    if then - now <= allowed:
        return None
    return (
        f"{name} is {now:.3f}, {then - now:.3f} below the test split's {then:.3f} "
        f"(allowed: {allowed})"
    )


def _error(overall: Performance, task: Task) -> float:
    """Return the standard error of the task's metric, 0 where it is not known.

    That of ROC AUC is Hanley and McNeil's (Radiology 143, 1982).
    """
    rows = max(1, overall.num_labelled)
    if task == "number":
        variance = (overall.mse or 0.0) - (overall.mae or 0.0) ** 2
        return math.sqrt(max(0.0, variance) / rows)
    if task == "classes":
        share = overall.accuracy or 0.0
        return math.sqrt(share * (1 - share) / rows)
    area, rate = overall.roc_auc, overall.observed_rate
    if area is None or not rate or rate >= 1:
        return 0.0
    yes, no = rate * rows, (1 - rate) * rows
    above, below = area / (2 - area), 2 * area**2 / (1 + area)
    pairs = area * (1 - area) + (yes - 1) * (above - area**2) + (no - 1) * (below - area**2)
    return math.sqrt(max(0.0, pairs) / (yes * no))


def _worse_than_a_guess(overall: Performance, task: Task) -> str | None:
    name, loss = "log loss", overall.log_loss
    if task == "number":
        name, loss = "the mean squared error", overall.mse
    guess, error = overall.guess_loss, overall.guess_error
    if loss is None or guess is None or error is None or loss - guess <= SURELY * error:
        return None
    return (
        f"{name} is {loss:.4g}, worse than the {guess:.4g} of a constant guess: on these days the "
        "model is of no use"
    )


def _off_the_rate(overall: Performance, limits: Monitor) -> str | None:
    predicted, observed, error = overall.predicted_rate, overall.observed_rate, overall.rate_error
    if predicted is None or observed is None or error is None:
        return None
    gap = rate_gap(predicted, observed)
    if gap <= limits.max_rate_gap or abs(predicted - observed) <= SURELY * error:
        return None
    return (
        f"a rate of {predicted:.4g} was predicted where {observed:.4g} was observed: they differ "
        f"by {gap:.0%} of the larger one (allowed: {limits.max_rate_gap:.0%})"
    )


def _biased(overall: Performance, limits: Monitor) -> str | None:
    predicted, observed, error = overall.predicted_rate, overall.observed_rate, overall.rate_error
    deviation = overall.label_deviation
    if predicted is None or observed is None or error is None or deviation is None:
        return None
    bias = predicted - observed
    if abs(bias) <= max(limits.max_bias * deviation, SURELY * error):
        return None
    side = "above" if bias > 0 else "below"
    return (
        f"predictions lie {abs(bias):.4g} {side} the labels' mean of {observed:.4g}; the labels' "
        f"standard deviation is {deviation:.4g} (allowed: {limits.max_bias:.0%} of it)"
    )


def _miscalibrated(overall: Performance, limits: Monitor) -> str | None:
    error, chance = overall.calibration_error, overall.calibration_by_chance
    if error is None or chance is None:
        return None
    if error <= limits.max_calibration_error or error <= SURELY * chance:
        return None
    return (
        f"predicted and observed rates of like rows are {error:.3f} apart on the mean (allowed: "
        f"{limits.max_calibration_error}; by chance: {chance:.3f})"
    )
