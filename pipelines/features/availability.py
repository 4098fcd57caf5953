"""The proof that a feature row holds nothing known only later than its own `prediction_at`.

Every source row that became available later is taken away and the row is computed again: it must
be identical. Only the label may differ, it is known later by nature.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.config.featurize import Featurize
from pipelines.features.query import Tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

Compute = Callable[[Tables, dt.date], "DataFrame"]
"""The feature rows of one day, from the tables given."""


@dataclass(frozen=True)
class Leak:
    """A value that is another one when what was not yet available is taken away."""

    key: tuple[Any, ...]
    prediction_at: dt.datetime
    column: str
    value: Any
    value_then: Any
    """What it would have been at `prediction_at`; None too where the row itself is gone."""


def known_at(tables: Tables, settings: Featurize, moment: dt.datetime) -> Tables:
    """Return the tables as they were known at a moment, which is as Spark collects timestamps."""
    return Tables(
        {
            name: df.where(f"({settings.reads[name]}) <= {_timestamp(moment)}")
            for name, df in tables.items()
        }
    )


def find_leaks(
    rows: Iterable[Row], tables: Tables, settings: Featurize, compute: Compute
) -> list[Leak]:
    """Compute each row again from what was available at its `prediction_at`; return what differs.

    Costs one computation for each moment among the rows.
    """
    by_moment: dict[tuple[dt.datetime, dt.date], list[Row]] = {}
    for row in rows:
        by_moment.setdefault((row[settings.prediction_at], row[settings.date]), []).append(row)
    leaks: list[Leak] = []
    for (moment, day), wanted in by_moment.items():
        then = compute(known_at(tables, settings, moment), day)
        of_moment = then.where(f"`{settings.prediction_at}` = {_timestamp(moment)}")
        found = {_key(row, settings): row for row in of_moment.collect()}
        for row in wanted:
            leaks += _differences(row, found.get(_key(row, settings)), settings)
    return leaks


def _timestamp(moment: dt.datetime) -> str:
    # What Spark collects has no zone and is meant in this machine's.
    return f"TIMESTAMP '{moment.astimezone(dt.UTC).isoformat()}'"


def _key(row: Row, settings: Featurize) -> tuple[Any, ...]:
    return tuple(row[name] for name in settings.key)


def _differences(row: Row, then: Row | None, settings: Featurize) -> list[Leak]:
    values = row.asDict()
    values_then = {} if then is None else then.asDict()
    return [
        Leak(_key(row, settings), row[settings.prediction_at], name, value, values_then.get(name))
        for name, value in values.items()
        if name != settings.label and (then is None or not _same(value, values_then.get(name)))
    ]


def _same(left: Any, right: Any) -> bool:
    # NaN alone differs from itself.
    both_nan = left != left and right != right
    return bool(left == right or both_nan)
