"""Places in a lake, kept so that a lake may be copied or moved.

What a lake keeps of places in itself is kept relative to it. A copy that knew absolute ones would
go on reading from the lake that it was made of, and writing into it.
"""

from __future__ import annotations

import re
from typing import Any

from pipelines.lake.catalog import Lake

_SCHEME = "lake:/"
# What notes of older lakes hold, and versions that MLflow alone knows the place of.
_OF_A_LAKE = re.compile(
    r"(?:\w+:/|/).*?(/_training/[^/]+/[^/]+/bundle|/_mlflow/artifacts/.+|/_reports/[^/]+/[^/]+)/?"
)


def relative(lake: Lake, value: Any) -> Any:
    """Return nested JSON values with places in the lake as `lake:/...`."""
    if isinstance(value, dict):
        return {key: relative(lake, one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [relative(lake, one) for one in value]
    if isinstance(value, str) and value.startswith(f"{lake.root}/"):
        return _SCHEME + value.removeprefix(f"{lake.root}/")
    return value


def absolute(lake: Lake, value: Any) -> Any:
    """Return what `relative` was given, for the lake as it lies now."""
    if isinstance(value, dict):
        return {key: absolute(lake, one) for key, one in value.items()}
    if isinstance(value, list):
        return [absolute(lake, one) for one in value]
    return in_lake(lake, value) if isinstance(value, str) else value


def in_lake(lake: Lake, place: str) -> str:
    """Return a place for the lake as it lies now; what is no place of a lake stays as it is."""
    if place.startswith(_SCHEME):
        return f"{lake.root}/{place.removeprefix(_SCHEME)}"
    found = _OF_A_LAKE.fullmatch(place)
    return f"{lake.root}{found[1]}" if found else place
