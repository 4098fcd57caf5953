"""Which days a run of `featurize` makes: those asked for, and those that are no longer right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.errors import FeatureError, nearest
from pipelines.features.covered import read_covered
from pipelines.features.days import Days, few, intersected, joined, missing
from pipelines.features.query import Tables
from pipelines.features.refresh import MadeFrom, Touched, touched_days
from pipelines.lake.catalog import Table
from pipelines.lake.changes import table_id
from pipelines.run import Resolved, Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MOST_RANGES = 6
"""Each range of days is a query of its own; days between ranges are cheaper than more queries."""


@dataclass(frozen=True)
class Due:
    """The days to make. `is_whole`: they are the table, whose columns may change with them.

    `again` are days made before and not asked for; `why` says why it is all of them.
    """

    days: list[Days]
    is_whole: bool = False
    again: Sequence[Days] = ()
    why: str | None = None


@dataclass(frozen=True)
class Found(Resolved):
    """What `featurize` looked up: versions and ids of what it reads, and what the table is of.

    `made_from` is what all its days come from at least, or None, and `unknown` then says why that
    is not known. `after` is the table's version then, -1 without a table; None in older notes.
    """

    tables: Mapping[str, int]
    ids: Mapping[str, str]
    made_from: Mapping[str, Any] | None = None
    unknown: str | None = None
    after: int | None = None


def days_due(run: Run, target: Table, tables: Tables, now: MadeFrom, found: Found) -> Due:
    """Return the days to make: those asked for, and those that changes since have touched.

    `found` is what the run resolved.
    """
    asked = [(run.since or run.date, run.date)] if run.date else None
    if not run.pipeline.featurize.sources:
        return Due(asked) if asked else Due([_all_days(run, tables)], is_whole=True)
    made = _made(run, target)
    if asked and not made:
        return Due(asked)
    whole = asked[0] if asked else _all_days(run, tables)
    if not made:
        return Due([whole], is_whole=True)
    touched = _touched(run, tables, now, found)
    if touched.everything:
        if asked:
            days = few([*asked, *made], _MOST_RANGES)
            return Due(days, again=made, why=touched.everything)
        return Due([whole], is_whole=True, again=made, why=touched.everything)
    again = intersected(touched.days, made)
    if asked:
        unasked = [gap for one in again for gap in missing(one, asked)]
        return Due(few([*asked, *again], _MOST_RANGES), again=unasked)
    hull = (min(whole[0], made[0][0]), max(whole[1], made[-1][1]))
    return Due(few([*again, *missing(hull, made)], _MOST_RANGES), again=again)


def _touched(run: Run, tables: Tables, now: MadeFrom, found: Found) -> Touched:
    if found.made_from is None:
        said = f"it is not known what they were made from, {found.unknown}"
        return Touched(everything=said)
    before = MadeFrom(**found.made_from)
    differs = before.differs(now)
    if differs:
        return Touched(everything=differs)
    sources = run.pipeline.featurize.sources
    return touched_days(run.lake, tables, sources, before.versions, now.versions)


def _made(run: Run, target: Table) -> list[Days]:
    """Return the days that the table has been made for, with rows or without."""
    gold = run.standing.read(target)
    date = run.pipeline.featurize.date
    if gold is None or date not in gold.columns:
        return []
    with_rows = [row[0] for row in gold.select(date).distinct().collect() if row[0]]
    made_in = table_id(run.spark, run.lake, target)
    covered = read_covered(run.spark, run.lake, run.pipeline.name, made_in)
    return joined([*covered, *((day, day) for day in with_rows)])


def _all_days(run: Run, tables: Tables) -> Days:
    """Return the first and last day of the input."""
    date = run.pipeline.featurize.date
    with_date = {name: df for name, df in tables.items() if date in df.columns}
    if not with_date:
        raise FeatureError(
            f"without --date all days of the input are made, but no table of `featurize.reads` "
            f"has the column '{date}', which `featurize.date` names ({sorted(tables)}). Give the "
            "days with --since and --date, or have `clean` derive the column."
            f"{nearest(date, [name for df in tables.values() for name in df.columns])}"
        )
    ends = [end for df in with_date.values() for end in _ends(df, date)]
    if not ends:
        raise FeatureError(
            f"{sorted(with_date)} hold no rows, so there are no days to make features of. Look "
            f"at what `tidemill clean {run.pipeline.name}` put aside."
        )
    return min(ends), max(ends)


def _ends(df: DataFrame, date: str) -> list[dt.date]:
    row = df.agg(F.min(date), F.max(date)).head()
    return [end for end in row or () if end is not None]
