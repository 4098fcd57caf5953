"""A bundle's reasons: what each raw column of a row adds to its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.encoding.spec import FeatureSpec
from pipelines.reasons import baseline
from pipelines.reasons.integrate import Arrays, Integrator

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Explained:
    """Reasons of rows, in their order.

    `contributions` (rows, columns) and `residual` (rows,) add up to `outputs - base`, (rows,) each:
    what the model says of the row, and of the baseline. Of classes that is the likeliest one's
    chance. Rows of which `adds_up` is false have no reasons: no gradient leads to what is said.
    """

    columns: list[str]
    """Raw columns; of an image its regions, as `file[1,2]`: row and column of a grid."""
    contributions: Array
    outputs: Array
    base: Array
    residual: Array
    adds_up: Array

    def top(self, count: int | None = None) -> list[list[dict[str, Any]] | None]:
        """Return each row's largest contributions, the largest first; None where there are none."""
        order = np.argsort(-np.abs(self.contributions), axis=1, kind="stable")[:, :count]
        values = np.take_along_axis(self.contributions, order, axis=1)
        return [
            [
                {"column": self.columns[place], "contribution": value}
                for place, value in zip(places, row, strict=True)
            ]
            if is_known
            else None
            for places, row, is_known in zip(
                order.tolist(), values.tolist(), self.adds_up.tolist(), strict=True
            )
        ]

    def rows(self, count: int | None = None) -> list[dict[str, Any]]:
        """Return a mapping a row: `base`, `contributions`, the `rest` not shown, `residual`."""
        found = []
        for place, shown in enumerate(self.top(count)):
            told = sum(one["contribution"] for one in shown or [])
            found.append(
                {
                    "base": float(self.base[place]),
                    "contributions": shown,
                    "rest": float(self.contributions[place].sum() - told) if shown else None,
                    "residual": float(self.residual[place]),
                }
            )
        return found


class Explainer:
    """Reasons of a bundle's model; calls take model inputs by name, (rows, *shape) each."""

    def __init__(self, bundle: Bundle, model: Any = None) -> None:
        """Take the bundle's `model`, loaded already, or load it."""
        spec = FeatureSpec.from_json(bundle.feature_spec)
        loaded = bundle.load_model() if model is None else model
        self._integrator = Integrator(
            loaded, spec.inputs, baseline.kept(bundle.manifest, spec.inputs)
        )
        column_of = {one.name: feature.column for feature in spec.features for one in
                     feature.inputs()}  # fmt: skip
        named = [f"{column_of[name]}{region}" for name, region in self._integrator.parts]
        self.columns = list(dict.fromkeys(named))
        self._belongs = np.zeros((len(named), len(self.columns)))
        for place, name in enumerate(named):
            self._belongs[place, self.columns.index(name)] = 1.0

    def __call__(self, arrays: Arrays) -> Explained:
        """Explain rows."""
        found = self._integrator(arrays)
        return Explained(
            self.columns,
            found.values @ self._belongs,
            found.outputs,
            found.base,
            found.residual,
            found.adds_up,
        )
