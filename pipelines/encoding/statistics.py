"""From a column's plain statistics to the numbers of a fitted feature. Pure."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from pipelines.errors import FeatureError

logger = logging.getLogger(__name__)

_DIGITS = 10
"""Digits kept of sums: their last ones depend on the order in which Spark added, float32 has 7."""


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of a column's present numbers (after log1p); None where not asked for.

    `std` is the population's (divided by the count). `quartiles` are exact to 2**-17 of a value.
    """

    count: int
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quartiles: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Scaling:
    """Numbers of a `FittedNumeric` or a `FittedArray`."""

    center: float
    spread: float
    missing: float


ALL_MISSING = Scaling(center=0.0, spread=0.0, missing=0.0)


def needed_statistics(scale: str, impute: str | float) -> frozenset[str]:
    """Return which of `moments`, `range`, `quartiles` scaling and imputation ask for."""
    of_scale = {"standard": "moments", "minmax": "range", "robust": "quartiles", "none": ""}
    of_impute = {"mean": "moments", "median": "quartiles"}
    needed = {of_scale[scale], of_impute.get(str(impute), "")} - {""}
    # A constant column is known by its range: a mean of equal values may be off by a last bit.
    return frozenset(needed | {"range"} if "moments" in needed else needed)


def scaling(
    name: str,
    scale: str,
    impute: str | float,
    found: ColumnStatistics,
    takes_log: bool = False,
) -> Scaling:
    """Return center, spread and the scaled value of a missing one.

    `impute` as a number is in the raw column's unit, before log1p where the feature takes it.
    Raises FeatureError where a statistic is not finite (values near the largest double).
    """
    if found.count == 0:
        logger.warning("feature '%s' is missing in every row of the training split", name)
        return ALL_MISSING
    mean, std = _moments(found)
    low, median, high = found.quartiles or (0.0, 0.0, 0.0)
    center, spread = {
        "standard": (mean, std),
        "minmax": (found.min or 0.0, (found.max or 0.0) - (found.min or 0.0)),
        "robust": (median, high - low),
        "none": (0.0, 1.0),
    }[scale]
    if isinstance(impute, str):
        fill = {"mean": mean, "median": median, "zero": 0.0}[impute]
    else:
        fill = math.log1p(max(impute, 0.0)) if takes_log else impute
    if not all(math.isfinite(value) for value in (center, spread, fill)):
        raise FeatureError(
            f"feature '{name}' can't be scaled: its statistics are not finite "
            f"(center {center}, spread {spread}). Its values are near the largest double; bound "
            "them in `clean` (outliers) or use log1p."
        )
    if spread == 0:
        logger.warning(
            "feature '%s' has a spread of 0 (%s scaling) in the training split: it is 0.0 "
            "everywhere", name, scale,
        )  # fmt: skip
        return Scaling(center, 0.0, 0.0)
    return Scaling(center, spread, (fill - center) / spread)


def _moments(found: ColumnStatistics) -> tuple[float, float]:
    """Return mean and standard deviation without the digits that depend on the order of sums."""
    mean, std = found.mean or 0.0, found.std or 0.0
    if found.min is not None and found.min == found.max:
        return found.min, 0.0
    if not (math.isfinite(mean) and math.isfinite(std)) or std == 0:
        return mean, std
    places = _DIGITS - 1 - math.floor(math.log10(std))
    return round(mean, places), round(std, places)
