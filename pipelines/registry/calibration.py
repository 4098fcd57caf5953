"""Does a model say what happens: predicted against observed rates, and a constant guess. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.losses import Task
from pipelines.config.threshold import in_words

FAR_APART = 0.5
"""Share of the larger rate from which a gap is worth a word."""
_ENOUGH_ROWS = 1000
SURELY = 3.0
"""Standard errors that a difference must have: less is called chance."""


@dataclass(frozen=True)
class Calibration:
    """Mean prediction and observed rate of rows; `error` is that of groups of them (ECE).

    The expected calibration error is the mean of |predicted - observed| over groups of rows of like
    predictions, by rows; `by_chance` is what it would be of a model that is right.
    """

    num_rows: int
    predicted: float
    observed: float
    error: float
    by_chance: float

    @property
    def is_far_off(self) -> bool:
        """Whether the two rates differ by much, and by more than chance explains."""
        spread = math.sqrt(self.observed * (1 - self.observed) / max(1, self.num_rows))
        is_certain = abs(self.predicted - self.observed) > SURELY * max(
            spread, 1 / max(1, self.num_rows)
        )
        return is_certain and rate_gap(self.predicted, self.observed) > FAR_APART


def rate_gap(predicted: float, observed: float) -> float:
    """Return how far two rates are apart, as a share of the larger one, in 0..1.

    Of the yes or of the no, whichever is farther: 0.5 against 0.9 is 0.1 against 0.5 of the no.
    """
    gap = abs(predicted - observed)
    return max(
        gap / max(one, other, 1e-12)
        for one, other in ((predicted, observed), (1 - predicted, 1 - observed))
    )


def calibration(groups: Iterable[tuple[float, float, float]]) -> Calibration | None:
    """Return that of groups (rows, mean prediction, observed rate); None without rows."""
    known = [group for group in groups if group[0] > 0]
    total = sum(rows for rows, _, _ in known)
    if not total:
        return None

    def mean(values: Iterable[float]) -> float:
        return sum(rows / total * value for (rows, _, _), value in zip(known, values, strict=True))

    return Calibration(
        num_rows=int(total),
        predicted=mean(predicted for _, predicted, _ in known),
        observed=mean(observed for _, _, observed in known),
        error=mean(abs(predicted - observed) for _, predicted, observed in known),
        # The mean distance of a normal variable from its mean is sqrt(2 / pi) of its deviation.
        by_chance=mean(
            math.sqrt(2 / math.pi * max(0.0, predicted * (1 - predicted)) / rows)
            for rows, predicted, _ in known
        ),
    )


def of_test_split(evaluation: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration that a bundle's evaluation tells of; None where labels are no yes."""
    return calibration(
        (one["num_rows"], one["predicted"], one["observed"])
        for one in evaluation.get("calibration", [])
    )


def constant_guess(evaluation: Mapping[str, Any], task: Task) -> tuple[float, ...] | None:
    """Return what a constant guess says: the mean label of training, or each class's share.

    Bundles of older releases don't tell; then it is the test split's. None where neither is known.
    """
    if "guess" in evaluation:
        return tuple(float(value) for value in evaluation["guess"])
    if task == "binary":
        rate = evaluation.get("positive_rate")
        return None if rate is None else (float(rate),)
    if task == "classes":
        rows = [sum(row) for row in evaluation.get("confusion", [])]
        return tuple(count / sum(rows) for count in rows) if sum(rows) else None
    labels = [point[0] for point in evaluation.get("scatter", [])]
    return (sum(labels) / len(labels),) if labels else None


def loss_metric(metrics: Mapping[str, float]) -> str:
    """Return the metric by which a model is set beside a constant guess."""
    return "log_loss" if "log_loss" in metrics else "mse"


def doubts(
    metrics: Mapping[str, float], constant: Mapping[str, float], evaluation: Mapping[str, Any]
) -> list[str]:
    """Return what speaks against using a model at all, by the rows it is judged on."""
    found = []
    metric = loss_metric(metrics)
    mine, guess = metrics.get(metric), constant.get(metric)
    if mine is not None and guess is not None and not mine < guess and _is_certain(evaluation):
        found.append(f"its {metric} of {mine:.4g} is no better than a constant guess's {guess:.4g}")
    rates = of_test_split(evaluation)
    if rates is not None and rates.is_far_off:
        found.append(
            f"it predicts a rate of {rates.predicted:.4g} where {rates.observed:.4g} was observed "
            f"({rates.num_rows:,} rows)"
        )
    kept = evaluation.get("threshold", {})
    if "unmet" in kept:
        found.append(
            f"its threshold of {kept['value']:.4g} is not what was asked for "
            f"({in_words(kept['asked'])}): {kept['unmet']}"
        )
    return found


def _is_certain(evaluation: Mapping[str, Any]) -> bool:
    """Tell whether a model that looks worse than a guess is more than chance explains."""
    margin = evaluation.get("margin")
    if margin is None:  # of an older release, which kept no more than the means
        return int(evaluation.get("num_rows", 0)) >= _ENOUGH_ROWS
    return float(margin["mean"]) > SURELY * float(margin["error"])


def threshold_in_words(kept: Mapping[str, Any]) -> str:
    """Say which threshold a bundle's evaluation tells of, what it was chosen by, and what it does.

    `kept` is what `training.threshold.choose` gives.
    """
    at, asked = kept["at"], in_words(kept["asked"])
    by = "" if asked == str(kept["value"]) else f", by `{asked}`"
    return (
        f"{kept['value']:.6g}{by}: on the validation split {100 * at['share']:.1f} % are called "
        f"yes, precision {at['precision']:.4f}, recall {at['recall']:.4f}"
        + (f" ({kept['unmet']})" if "unmet" in kept else "")
    )


def class_weight_cause(settings: Mapping[str, Any], reasons: Sequence[str]) -> str | None:
    """Return what weighted classes have to do with a refusal by log loss or calibration."""
    if not settings.get("class_weights") or not any(
        "log_loss" in one or "a rate of" in one for one in reasons
    ):
        return None
    return (
        f"Probable cause: `train.class_weights: {settings['class_weights']}` makes the model say "
        "other rates than those observed, and log loss judges rates. Either leave `class_weights` "
        "out and lower `score.threshold`, or judge by order alone: "
        "`promote.metric: roc_auc` with `promote.beat_constant: false`."
    )
