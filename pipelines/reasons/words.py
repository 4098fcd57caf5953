"""Reasons said in words: what a row's columns hold, and what each adds to the prediction. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 40


def in_words(
    row: Mapping[str, Any], said: Mapping[str, Any], reasons: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a line on the prediction, and one for each reason told, the weightiest first.

    `row` has the raw values, `said` is the prediction, `reasons` are those of `Explained.rows`.
    """
    label = f" ({said['predicted_label']})" if "predicted_label" in said else ""
    yield (
        f"{said['prediction']:.4f}{label}, where a row of the training's means has "
        f"{reasons['base']:.4f}"
    )
    if reasons["contributions"] is None:
        yield (
            f"  no reasons: they miss what the model says by {reasons['residual']:.4f}, as no "
            "gradient leads there"
        )
        return
    for one in reasons["contributions"]:
        name = one["column"]
        column = name.partition("[")[0]
        shown = f" = {_value(row[column])}" if column == name and column in row else ""
        yield f"  {one['contribution']:+.4f}  {name}{shown}"
    yield f"  {reasons['rest']:+.4f}  all other columns"


def _value(value: Any) -> str:
    if value is None or value != value:  # NaN
        return "(missing)"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
