"""Objects and lists that stand as JSON texts in a column, and how to read them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

DEEPEST = 4
"""Objects within objects that are taken apart; what lies deeper stays a text."""
MOST_PATHS = 200
_UNQUOTABLE = "'\\[]\n"


def leaf_paths(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the paths to all values that are no objects, in the order in which they come.

    Nothing where a text is no object: then the column is no column of objects.
    """
    found: dict[tuple[str, ...], None] = {}
    for text in texts:
        value = _parsed(text)
        if not isinstance(value, dict):
            return []
        found.update(dict.fromkeys(_leaves(value, ())))
    return list(found)[:MOST_PATHS]


def _leaves(value: dict[str, Any], before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, one in value.items():
        path = (*before, name)
        if not name or any(letter in name for letter in _UNQUOTABLE):
            continue
        if isinstance(one, dict) and one and len(path) < DEEPEST:
            yield from _leaves(one, path)
        else:
            yield path


def reading(column: str, path: Sequence[str]) -> str:
    """Return SQL that reads a value of an object as text; an empty text is null."""
    where = "$" + "".join(f"['{name}']" for name in path)
    return f"nullif(get_json_object(`{column}`, \"{where}\"), '')"


def items_type(texts: Sequence[str]) -> str:
    """Return double or string where all texts are lists of such values; else an empty text."""
    kinds: set[str] = set()
    for text in texts:
        value = _parsed(text) if text.startswith("[") else None
        if not isinstance(value, list):
            return ""
        for one in value:
            is_number = isinstance(one, int | float) and not isinstance(one, bool)
            kinds.add("double" if is_number else "string" if isinstance(one, str) else "other")
    return kinds.pop() if len(kinds) == 1 and "other" not in kinds else ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
