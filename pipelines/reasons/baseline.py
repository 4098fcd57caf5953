"""The baseline that reasons start from: the training split's means and commonest categories.

An array is empty there (zeros, and its mask says so), a sequence has no element, an image is black.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.encoding.kind import ModelInput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_COMMONEST = 2
"""Index of a vocabulary's first word: 0 is missing, 1 unknown."""


def assumed(inputs: Sequence[ModelInput]) -> dict[str, float]:
    """Return the baseline of a bundle that kept none: scaled numbers 0, the first word known."""
    return {
        one.name: min(_COMMONEST, (one.cardinality or 1) - 1) if one.kind == "category" else 0
        for one in inputs
    }


def measured(rows: DataFrame, inputs: Sequence[ModelInput]) -> dict[str, float]:
    """Return the baseline by model input, in one pass over the training split's `rows`."""
    from pyspark.sql import functions as F

    asked = [
        (F.mode(F.col(f"`{one.name}`"), True) if one.kind == "category" else F.avg(f"`{one.name}`"))
        .cast("double")
        .alias(one.name)
        for one in inputs
        if one.kind in ("numeric", "category")
    ]
    found = rows.agg(*asked).head() if asked else None
    known = {} if found is None else {k: v for k, v in found.asDict().items() if v is not None}
    return {**assumed(inputs), **known}


def kept(manifest: Mapping[str, Any], inputs: Sequence[ModelInput]) -> dict[str, float]:
    """Return a bundle's baseline, or what is assumed where it kept none."""
    return {**assumed(inputs), **manifest.get("baseline", {})}
