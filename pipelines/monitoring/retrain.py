"""When a model should be trained again: features that drifted, a metric that got worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    worse = _worse_than_in_test(overall, test, task, limits)
    return [*reasons, worse] if worse else reasons


def _worse_than_in_test(
    overall: Performance, test: dict[str, Any], task: Task, limits: Monitor
) -> str | None:
    """Return what the task's metric has lost, where that is more than is allowed."""
    metric, name, allowed = {
        "binary": ("roc_auc", "ROC AUC", limits.max_auc_drop),
        "classes": ("accuracy", "accuracy", limits.max_accuracy_drop),
        "number": ("mae", "the mean absolute error", limits.max_mae_rise),
    }[task]
    then, now = test.get(metric), getattr(overall, metric)
    if then is None or now is None:
        return None
    if task == "number":
        rise = (now - then) / then if then else float(now > 0)
        if rise <= allowed:
            return None
        return (
            f"{name} is {now:.4g}, {rise:.0%} above the test split's {then:.4g} "
            f"(allowed: {allowed:.0%})"
        )
    if then - now <= allowed:
        return None
    return (
        f"{name} is {now:.3f}, {then - now:.3f} below the test split's {then:.3f} "
        f"(allowed: {allowed})"
    )
