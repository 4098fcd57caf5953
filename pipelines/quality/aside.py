"""When so much of a run was put aside that it is no success. Pure."""

from __future__ import annotations

from collections.abc import Callable

ENOUGH = 20
"""So many rows, records or files that were put aside are more than a bad day's few."""


def is_too_much(bad: int, total: int, allowed: float, *, is_fruitless: Callable[[], bool]) -> bool:
    """Tell whether `bad` of `total` is a greater share than `allowed`, and no trifle.

    A few are one only where something good has come of it: `is_fruitless` says that nothing has.
    """
    if bad <= allowed * total:
        return False
    return bad >= ENOUGH or is_fruitless()


def shown(value: object, length: int = 60) -> str:
    """Return a value for a message, cut where it is long."""
    text = str(value)
    return repr(text if len(text) <= length else f"{text[:length]}...")
