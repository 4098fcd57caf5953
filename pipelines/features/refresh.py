"""Which days of the features must be made again, since what they were made from has changed.

The table's newest commit says from which versions of which tables all its days come (at least).
What changed in these tables since is read from their change feeds, and mapped to days as
`featurize.sources` declares.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.config.featurize import SourceDays
from pipelines.errors import NoChangeFeed
from pipelines.features.days import Days, joined, spread
from pipelines.lake.catalog import Lake
from pipelines.lake.changes import change_feed, in_short, is_of_spark
from pipelines.quality.expressions import analysed

if TYPE_CHECKING:
    import datetime as dt

    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

NOTE = "made_from"


@dataclass(frozen=True)
class MadeFrom:
    """What features were made from: versions and ids of tables, and the hash of the queries."""

    versions: Mapping[str, int]
    ids: Mapping[str, str]
    query: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def oldest(cls, notes: Sequence[Mapping[str, Any]]) -> MadeFrom | str:
        """Return from what all days come at least; or, in words, why that can't be said."""
        found = [cls(one["versions"], one["ids"], one["query"]) for one in notes]
        newest = found[0]
        if any((one.ids, one.query) != (newest.ids, newest.query) for one in found):
            return "as two runs at once made them in different ways"
        versions = {name: min(one.versions[name] for one in found) for name in newest.versions}
        return cls(versions, newest.ids, newest.query)

    def differs(self, now: MadeFrom) -> str | None:
        """Say why days made from this can't be brought up to date one by one; None if they can."""
        if self.query != now.query:
            return "settings, queries or code of `featurize` have changed since"
        if set(self.ids) != set(now.ids):
            return "other tables are read than before"
        anew = [name for name, table in now.ids.items() if self.ids[name] != table]
        if anew:
            return f"{', '.join(anew)} was made anew"
        return None


@dataclass(frozen=True)
class Touched:
    """Days that changes touch, by source table; or, in `everything`, why it is all days."""

    by_table: Mapping[str, list[Days]] = field(default_factory=dict)
    everything: str | None = None

    @property
    def days(self) -> list[Days]:
        """All of them."""
        return joined(one for ranges in self.by_table.values() for one in ranges)


def touched_days(
    lake: Lake,
    tables: Mapping[str, DataFrame],
    sources: Mapping[str, SourceDays | str],
    before: Mapping[str, int],
    now: Mapping[str, int],
) -> Touched:
    """Return which days the changes after the versions `before`, up to `now`, touch.

    `tables` are the sources as of `now`. A feed that doesn't reach back, a source of which any
    change touches everything, and a changed row without a day are answered by `everything`.
    """
    found: dict[str, list[Days]] = {}
    for name, source in sources.items():
        if before[name] >= now[name]:
            continue
        try:
            spark = tables[name].sparkSession
            changes = change_feed(spark, lake, name, before[name], now[name])
        except NoChangeFeed as error:
            return Touched(everything=f"{name} has {error}")
        try:
            days = _days(name, source, changes, tables, sources)
        except Exception as error:
            # Files of the feed that were vacuumed show only when they are read.
            if not is_of_spark(error):
                raise
            said = f"the change feed of {name} can't be read: {in_short(error)}"
            return Touched(everything=said)
        if days is None:
            return Touched(everything=f"{name} has changed, which may touch any day")
        if days:
            found[name] = days
    return Touched(found)


def _days(
    name: str,
    source: SourceDays | str,
    changes: DataFrame,
    tables: Mapping[str, DataFrame],
    sources: Mapping[str, SourceDays | str],
) -> list[Days] | None:
    """Return the days that a table's changed rows touch; None where that can't be said."""
    if isinstance(source, str):
        return [] if changes.isEmpty() else None
    if source.through is None:
        days = _dated(changes, source.date, name)
    else:
        there = sources[source.through]
        assert not isinstance(there, str)  # so the settings say
        keys = changes.select(*(f"`{here}`" for here in source.by)).distinct()
        keys = keys.toDF(*source.by.values())
        rows = tables[source.through].join(keys, on=list(source.by.values()), how="left_semi")
        days = _dated(rows, there.date, source.through)
    found = set(_collected(days))
    return None if None in found else spread((day for day in found if day), source.lookback)


def _dated(rows: DataFrame, date: str | None, name: str) -> DataFrame:
    assert date is not None  # so the settings say
    day = analysed(rows, date, f"`featurize.sources.{name}.date`")["v"].cast("date")
    return rows.select(day.alias("day")).distinct()


def _collected(days: DataFrame) -> Iterator[dt.date | None]:
    for row in days.collect():
        yield row["day"]
