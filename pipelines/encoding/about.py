"""What training knew of each raw column: for the service's page, and an example to try. Pure.

Nothing here is of one row: means, spreads and the commonest categories say enough to begin with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from pipelines.encoding.kind import Fitted
from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.cyclical import FittedCyclical
from pipelines.encoding.kinds.image import FittedImage
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec

_SHOWN = 30


@dataclass(frozen=True)
class About:
    """A column's `example` (a JSON value), what is `said` of it, and `known` values of it."""

    example: Any = None
    said: str = ""
    known: list[Any] = field(default_factory=list)


def about_columns(spec: FeatureSpec) -> dict[str, About]:
    """Return what is known by raw column; of several features of one, the first that knows."""
    found: dict[str, About] = {}
    for feature in spec.features:
        told = _about(feature)
        if not found.get(feature.column, About()).said:
            found[feature.column] = told
    return found


def _about(feature: Fitted) -> About:
    if isinstance(feature, FittedCategory):
        known = [_typed(text, feature.raw_type) for text in feature.vocabulary]
        more = f", and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
        said = f"{len(known):,} categories are known{more}; another one is taken as unknown"
        return About(known[0] if known else None, said, known[:_SHOWN])
    if isinstance(feature, FittedNumeric):
        return _number(feature)
    if isinstance(feature, FittedCyclical):
        return About(0 if _is_whole(feature) else 0.0, f"comes round every {feature.period:g}")
    if isinstance(feature, FittedImage):
        size = f"{feature.height} x {feature.width}"
        return About(None, f"a PNG or JPEG file as base64; it is resized to {size}")
    return About()


def _number(feature: FittedNumeric) -> About:
    middle, spread = feature.center, feature.spread
    if feature.log1p:
        # Of the logarithms: one spread up and down is a factor.
        low, high = (math.expm1(min(middle + sign * spread, 700.0)) for sign in (-1, 1))
        middle = math.expm1(min(middle, 700.0))
    else:
        low, high = middle - spread, middle + spread
    example = round(middle) if _is_whole(feature) else float(f"{middle:.6g}")
    if (middle, spread) == (0.0, 1.0):  # not scaled, so nothing was measured
        return About(example)
    return About(example, f"mostly around {low:.6g} to {high:.6g} in training")


def _is_whole(feature: Fitted) -> bool:
    return feature.raw_type in ("tinyint", "smallint", "int", "bigint")


def _typed(text: str, raw_type: str) -> Any:
    """Return a category as JSON has it: the vocabulary holds texts."""
    if raw_type in ("tinyint", "smallint", "int", "bigint"):
        return int(text)
    if raw_type == "boolean":
        return text == "true"
    if raw_type in ("float", "double") or raw_type.startswith("decimal"):
        number = float(text)
        return number if math.isfinite(number) else None
    return text
