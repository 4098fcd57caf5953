"""The rule that makes a table's column name of a header's, which may hold any letters.

A name that a Delta table can hold stays as it is. Else each run of letters that it can't hold
(blanks, line ends, control characters, and `,;{}()=` and the backtick) becomes one `_`, and such a
`_` at either end is left out. A name that begins with `_`, or that quarantine needs for itself,
gets an `x` or `x_` before it; a name of nothing becomes `column_<position>`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

QUARANTINE_S_OWN = ("reasons", "quarantined_at")
_NOT_HELD = re.compile(r"[ ,;{}()=`\x00-\x1f\x7f]+")


def column_name(name: str, position: int = 1) -> str:
    """Return the column name of a header's name, which stands at `position`, from 1 on."""
    plain = name.strip()
    made = _NOT_HELD.sub("_", plain)
    if made != plain:
        # What ends in a bracket should not end in `_`; what began with `_` before still does.
        begin = 1 if made.startswith("_") and not plain.startswith("_") else 0
        end = len(made) - 1 if made.endswith("_") and not plain.endswith("_") else len(made)
        made = made[begin:end].strip()
    if not made:
        return f"column_{position}"
    if made.startswith("_"):
        return f"x{made}"
    return f"x_{made}" if made.lower() in QUARANTINE_S_OWN else made


def nested_name(name: str, position: int = 1) -> str:
    """Return the name of a struct's field, which stands at `position` in it, from 1 on.

    One that a table can hold stays, whatever it begins with: it stands beside no column.
    """
    if name and not _NOT_HELD.search(name):
        return name
    return column_name(name, position)


def column_names(header: Sequence[str], named: dict[str, str], known: Collection[str]) -> list[str]:
    """Return the column name of each name in a header.

    `named` are names of headers, each with the column that the settings give it; `known` are all
    columns of the settings. A second `a` is `a_2` where that is among them; elsewhere it is `a`
    again, for whoever judges the names to find.
    """
    known, seen = set(known), dict[str, int]()
    found = []
    for position, name in enumerate(header, 1):
        plain = name.strip()
        made = named.get(plain) or (plain if plain in known else column_name(name, position))
        seen[made.lower()] = number = seen.get(made.lower(), 0) + 1
        numbered = f"{made}_{number}"
        found.append(numbered if number > 1 and numbered in known else made)
    return found


def with_columns_of_headers(data: Any) -> Any:
    """Return a pipeline's settings, as they were written, with columns in place of header names.

    `source` of a column in `clean` and the marks in `privacy` may name what the files call it.
    """
    sources = _part(data, "ingest", "sources")
    entities = _part(data, "clean", "entities")
    marks = _part(data, "privacy", "sources")
    columns = {name: _columns_by_header(source) for name, source in sources.items()}
    read = {name: _reading(entity, columns) for name, entity in entities.items()}
    marked = {
        name: {columns.get(name, {}).get(column, column): mark for column, mark in one.items()}
        if isinstance(one, dict)
        else one
        for name, one in marks.items()
    }
    if entities:
        data = {**data, "clean": {**data["clean"], "entities": read}}
    if marks:
        data = {**data, "privacy": {**data["privacy"], "sources": marked}}
    return data


def _part(data: Any, *names: str) -> dict[Any, Any]:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _columns_by_header(source: Any) -> dict[str, str]:
    """Return the columns that are called otherwise in a source's files, by that name."""
    columns = source.get("columns") if isinstance(source, dict) else None
    if not isinstance(columns, list | tuple) or source.get("jdbc") is not None:
        return {}
    made = {
        name: column_name(name, place)
        for place, name in enumerate(columns, 1)
        if isinstance(name, str)
    }
    headers = _part(source, "headers").items()
    named = {name: column for column, name in headers if isinstance(name, str)}
    found = {name: column for name, column in {**made, **named}.items() if name != column}
    return {name: column for name, column in found.items() if name not in made.values()}


def _reading(entity: Any, columns: dict[Any, dict[str, str]]) -> Any:
    treated = _part(entity, "columns")
    by_header = columns.get(entity.get("source"), {}) if treated else {}
    if not by_header:
        return entity
    found = {}
    for name, one in treated.items():
        origin = _part({"of": one}, "of").get("source")
        column = by_header.get(origin) if isinstance(origin, str) else None
        found[name] = one if column is None else {**one, "source": column}
    return {**entity, "columns": found}
