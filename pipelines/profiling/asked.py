"""What `tidemill init` was told, and which column somebody means by a name. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UsageError, nearest
from pipelines.profiling.names import plain_name
from pipelines.profiling.types import Typed

Columns = Mapping[str, Typed]
"""Columns by their names in silver."""
_SHOWN = 30


@dataclass(frozen=True)
class Asked:
    """What the command was told; where it is None, the data speak."""

    name: str
    folder: Path
    root: Path
    label: str | None = None
    key: tuple[str, ...] = ()
    date: str | None = None
    test_from: dt.date | None = None
    positive: str | None = None
    task: str | None = None
    day_first: bool | None = None
    choose: Callable[[str, Sequence[str], str], str] | None = None
    """Asks the one at the terminal: (question, answers, default) -> answer."""


def find_column(name: str, columns: Columns, option: str) -> str:
    """Return the column that a name of the files, or of silver, means. Raises UsageError."""
    for known, one in columns.items():
        if name in (known, one.column.name, one.column.header):
            return known
    wanted = plain_name(name)
    if wanted in columns:
        return wanted
    raise UsageError(
        f"{option} {name}: there is no such column.{nearest(wanted, list(columns))} Known are "
        f"{', '.join(list(columns)[:_SHOWN])}."
    )
