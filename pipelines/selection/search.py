"""A search: trials of settings against each other, one after another, judged on validation rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.losses import is_higher_better
from pipelines.config.train import Train
from pipelines.errors import TrainingError
from pipelines.selection.trials import Data, Judge, Judged, check_batch, cross_validate, mean_of

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """Settings by dotted name, and how they fared. `judged` has one entry, or one per fold."""

    number: int
    params: Mapping[str, Any]
    judged: Sequence[Judged]

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics on the validation rows, as means over the folds; none where it diverged."""
        return mean_of("", self.judged).metrics


@dataclass(frozen=True)
class Outcome:
    """All trials of a search in their order."""

    metric: str
    trials: Sequence[Trial]

    @property
    def ranking(self) -> list[Trial]:
        """The trials from best to worst; of equals the earlier one is better."""
        return sorted(self.trials, key=lambda one: worse_when_higher(one.metrics, self.metric))

    @property
    def best(self) -> Trial:
        """The trial that won."""
        return self.ranking[0]

    def facts(self) -> dict[str, Any]:
        """Return what a bundle keeps: who won and by how much, and every trial."""
        best, *others = self.ranking
        value = best.metrics[self.metric]
        next_one = others[0].metrics.get(self.metric) if others else None
        return {
            "metric": self.metric,
            "best_trial": best.number,
            "best": dict(best.params),
            "value": value,
            "ahead_of_next": None if next_one is None else abs(value - next_one),
            "trials": [
                {"trial": one.number, "params": dict(one.params), "metrics": one.metrics}
                for one in self.trials
            ],
        }


def search(judge: Judge, settings: Train, data: Sequence[Data], tell: Tell) -> Outcome:
    """Train and judge each candidate of `settings.search` on `data`: one set of rows, or folds.

    Raises SettingsError before anything is trained where a candidate can't be; TrainingError
    where all diverged.
    """
    from pipelines.training.models import check_model
    from pipelines.training.models.probe import check_own_model

    rules = settings.search
    if rules is None:
        raise TrainingError("there is nothing to search: `train.search` is not set.")
    candidates = [(params, settings.with_settings(params)) for params in rules.candidates()]
    for _, one in candidates:
        check_model(one.model, one.options, data[0].inputs)
        for rows in data:
            check_batch(one, rows)
    probed = {(one.model, json.dumps(one.options, sort_keys=True)): one for _, one in candidates}
    for one in probed.values():
        check_own_model(one, data[0].inputs)
    trials = []
    for number, (params, one) in enumerate(candidates, start=1):
        said = ", ".join(f"{key}={value}" for key, value in params.items())
        tell(f"trial {number} of {len(candidates)}: {said}")
        judged = _try(judge, number, params, one, data)
        trials.append(Trial(number, params, judged))
    outcome = Outcome(rules.metric, trials)
    if not math.isfinite(worse_when_higher(outcome.best.metrics, rules.metric)):
        raise TrainingError(
            f"none of the {len(trials)} trials of `train.search` has a {rules.metric} that is a "
            "number. Search lower learning rates, or set `train.optimizer.clip_norm`."
        )
    return outcome


def worse_when_higher(metrics: Mapping[str, float], metric: str) -> float:
    """Return a metric as if lower were better; infinity where it is no number."""
    value = metrics.get(metric, float("nan"))
    if not math.isfinite(value):
        return math.inf
    return -value if is_higher_better(metric) else value


def _try(
    judge: Judge, number: int, params: Mapping[str, Any], settings: Train, data: Sequence[Data]
) -> list[Judged]:
    name = f"trial-{number}"
    if len(data) == 1:
        return [judge(name, settings, data[0], params, may_diverge=True)]
    judged = cross_validate(judge, settings, data, name=f"{name}-", params=params, may_diverge=True)
    judge.hear(mean_of(name, judged), params)
    return judged
