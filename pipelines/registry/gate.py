"""The gate before the alias `champion`: a pure function from metrics to reasons for refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.losses import ABOUT, is_higher_better
from pipelines.config.train import Promote
from pipelines.registry.calibration import class_weight_cause

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Rival:
    """The champion on the same rows as the candidate."""

    version: int
    metrics: Metrics


def reasons_to_refuse(
    settings: Promote, candidate: Metrics, constant: Metrics, rival: Rival | None = None
) -> list[str]:
    """Return why the candidate must not become champion; none if it may.

    `constant` are the metrics of a constant guess, `rival` those of the champion, where there is
    one, all on the candidate's test split.
    """
    found = [
        _misses_threshold(settings, candidate),
        _not_above_constant(settings, candidate, constant) if settings.beat_constant else None,
        _not_above_rival(settings, candidate, rival) if rival else None,
    ]
    return [reason for reason in found if reason]


def refusal(
    who: str, reasons: Sequence[str], doubts: Sequence[str], settings: Mapping[str, Any]
) -> str:
    """Return the message of a refusal: every reason, rates that are far off, the probable cause.

    `settings` are those the candidate was trained with.
    """
    cause = class_weight_cause(settings, [*reasons, *doubts])
    lines = [
        f"{who} was not promoted:",
        *(f"- {reason}" for reason in reasons),
        *(f"On its test split {one}." for one in doubts if " a rate of " in one),
        cause or "Train a better model, or change the threshold named.",
        "The champion stays as it was.",
    ]
    return "\n".join(lines)


def gain(metric: str, candidate: Metrics, other: Metrics) -> float:
    """Return by how much the candidate is better; negative where it is worse."""
    difference = candidate[metric] - other[metric]
    return difference if is_higher_better(metric) else -difference


def compares_with_champion(settings: Promote) -> bool:
    """Tell whether the champion matters.

    Of metrics that lie in 0 to 1 a tolerated loss of 1 or more waives the comparison too.
    """
    waives = settings.min_gain <= -1 and ABOUT[settings.metric].is_share
    return settings.compare_with_champion and not waives


def _misses_threshold(settings: Promote, candidate: Metrics) -> str | None:
    metric, value = settings.metric, candidate[settings.metric]
    if is_higher_better(metric):
        passes, expected = value >= settings.threshold, "at least"
    else:
        passes, expected = value <= settings.threshold, "at most"
    if passes:
        return None
    return (
        f"{metric} is {value:.4f}, expected {expected} {settings.threshold:.4f} "
        "(`promote.threshold`)"
    )


def _not_above_constant(settings: Promote, candidate: Metrics, constant: Metrics) -> str | None:
    metric = "mae" if settings.metric == "mae" else "mse"
    metric = "log_loss" if "log_loss" in candidate else metric
    mine, guess = candidate[metric], constant[metric]
    if mine < guess:
        return None
    return (
        f"{metric} is {mine:.4f}, expected less than the {guess:.4f} of a constant guess "
        "(`promote.beat_constant`)"
    )


def _not_above_rival(settings: Promote, candidate: Metrics, rival: Rival) -> str | None:
    metric = settings.metric
    found = gain(metric, candidate, rival.metrics)
    if found >= settings.min_gain or math.isclose(found, settings.min_gain, abs_tol=1e-12):
        return None
    return (
        f"{metric} is {candidate[metric]:.4f} against {rival.metrics[metric]:.4f} of the champion "
        f"(version {rival.version}) on the same rows: a gain of {found:+.4f}, expected at least "
        f"{settings.min_gain:+.4f} (`promote.min_gain`)"
    )
