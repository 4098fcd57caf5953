"""Local times become moments: each is read in the zone that is said to be its own.

When clocks are put forward, an hour of local times never is: such a time becomes null. When they
are put back, an hour comes twice: the first of the two is taken, and they are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

NOT_SAID, TWICE = 1, 2
"""How a moment came to its zone: by default, and by default in an hour that comes twice."""
_UTC = frozenset({"UTC", "Etc/UTC", "Etc/Zulu", "Zulu", "Etc/GMT", "GMT", "Etc/UCT", "UCT"})
_LONGEST_HOURS = 3
"""Clocks are put back by no more than this."""


def is_utc(zone: str) -> bool:
    """Tell whether a zone's local times are those of UTC."""
    return zone in _UTC


def moment_of(local: Column, zone: str) -> Column:
    """Return the moments of local times (timestamps in UTC as yet); the earlier where two are."""
    return local if is_utc(zone) else F.to_utc_timestamp(local, zone)


def exists(local: Column, moment: Column, zone: str) -> Column:
    """Return whether a clock of the zone ever showed a local time."""
    return F.lit(True) if is_utc(zone) else F.from_utc_timestamp(moment, zone) == local


def comes_twice(local: Column, moment: Column, zone: str) -> Column:
    """Return whether the clock shows a local time once more, after its `moment`."""
    if is_utc(zone):
        return F.lit(False)
    micros = _LONGEST_HOURS * 3_600_000_000
    later = F.timestamp_micros(F.unix_micros(moment) + micros)
    shown = F.unix_micros(F.from_utc_timestamp(later, zone)) - F.unix_micros(local)
    put_back = F.lit(micros) - shown
    again = F.timestamp_micros(F.unix_micros(moment) + put_back)
    return (put_back > 0) & (F.from_utc_timestamp(again, zone) == local)
