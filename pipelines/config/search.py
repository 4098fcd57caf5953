"""Settings of a search: which settings of `train` are tried against each other, and how."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipelines.settings import Settings

_DRAWS = 50
"""Draws per trial wanted, in the hope of one that has not been drawn before."""
_DIGITS = 4


class Between(Settings):
    """A range to draw from: whole numbers where both ends are, else any with four digits."""

    low: int | float
    high: int | float
    log: bool = False
    """Draws evenly over orders of magnitude, as is right for learning rates."""

    @model_validator(mode="after")
    def _in_order(self) -> Between:
        if self.low >= self.high:
            raise ValueError(f"`low: {self.low}` must be below `high: {self.high}`")
        if self.log and self.low <= 0:
            raise ValueError(f"`low: {self.low}` must be above 0 with `log: true`")
        return self

    def draw(self, dice: random.Random) -> int | float:
        """Return one value of the range; both ends belong to it."""
        if self.log:
            drawn = math.exp(dice.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = dice.uniform(self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            if not self.log:
                return dice.randint(self.low, self.high)
            drawn = round(drawn)
        else:
            drawn = float(f"{drawn:.{_DIGITS}g}")
        return min(max(drawn, self.low), self.high)


def _dotted(space: Any, prefix: str = "") -> Any:
    """Flatten nested mappings to dotted keys, down to lists and ranges."""
    if not isinstance(space, Mapping):
        return space
    found: dict[str, Any] = {}
    for key, value in space.items():
        is_range = isinstance(value, Between) or (
            isinstance(value, Mapping) and {"low", "high"} <= {*value}
        )
        if isinstance(value, Mapping) and not is_range:
            found.update(_dotted(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


Values = Annotated[tuple[Any, ...], Field(min_length=1)]
Space = Annotated[dict[str, Values | Between], BeforeValidator(_dotted), Field(min_length=1)]


class Search(Settings):
    """Tries settings against each other; the best ones train the model.

    Trials are judged on the validation split, or by the mean over the folds with `train.folds`;
    never on the test split. They train one after another, each with all ranks and the same seed.
    """

    method: Literal["grid", "random"] = "grid"
    """`grid` tries all combinations, `random` as many as `trials` says."""
    space: Space
    """Dotted settings of `train`, each with the values to try: `optimizer.learning_rate: [0.001,
    0.01]`, `options.dropout: [0, 0.3]`; for `random` also a range `{low: 0.0001, high: 0.01,
    log: true}`."""
    trials: int | None = Field(None, ge=1)
    """Of `random` alone: how many trials."""
    seed: int = Field(1, ge=0)
    """Of `random` alone: another seed draws other trials."""
    metric: str = "loss"
    """What decides: `loss`, or a metric that `train.loss` has."""

    @model_validator(mode="after")
    def _method_fits(self) -> Search:
        ranges = [key for key, values in self.space.items() if isinstance(values, Between)]
        if self.method == "grid" and ranges:
            raise ValueError(
                f"`train.search.space.{ranges[0]}` is a range, which `train.search.method: grid` "
                "can't try out; give a list of values, or use `method: random`"
            )
        if (self.method == "random") != (self.trials is not None):
            raise ValueError(
                "`train.search.trials` goes with `train.search.method: random`, and only with it; "
                f"received `method: {self.method}` and `trials: {self.trials}`"
            )
        return self

    def candidates(self) -> list[dict[str, Any]]:
        """Return the settings of each trial by dotted name: always the same, none twice."""
        if self.trials is None:
            lists = [values for values in self.space.values() if isinstance(values, tuple)]
            return [
                dict(zip(self.space, chosen, strict=True)) for chosen in itertools.product(*lists)
            ]
        dice, found = random.Random(self.seed), []
        for _ in range(self.trials * _DRAWS):
            drawn = {
                key: values.draw(dice) if isinstance(values, Between) else dice.choice(values)
                for key, values in self.space.items()
            }
            if drawn not in found:
                found.append(drawn)
            if len(found) == self.trials:
                break
        return found
