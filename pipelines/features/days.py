"""Sets of days as ranges, both ends included: joined, cut, spread, brought down to a few."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

Days = tuple[dt.date, dt.date]
_ONE = dt.timedelta(days=1)


def joined(ranges: Iterable[Days]) -> list[Days]:
    """Return ranges of days (both ends included) in order, those that touch as one."""
    found: list[Days] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + _ONE:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def spread(days: Iterable[dt.date], lookback: int) -> list[Days]:
    """Return each day with the `lookback` days after it."""
    # The calendar's last days have none after them.
    reach = {day: min(lookback, (dt.date.max - day).days) for day in days}
    return joined((day, day + dt.timedelta(days=more)) for day, more in reach.items())


def intersected(left: Iterable[Days], right: Iterable[Days]) -> list[Days]:
    """Return the days that are in both."""
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in left for other in list(right)]
    return joined(one for one in both if one[0] <= one[1])


def missing(whole: Days, there: Iterable[Days]) -> list[Days]:
    """Return the days of `whole` that are not in `there`."""
    gaps, next_day = [], whole[0]
    for first, last in intersected([whole], there):
        if next_day < first:
            gaps.append((next_day, first - _ONE))
        next_day = last + _ONE
    return [*gaps, (next_day, whole[1])] if next_day <= whole[1] else gaps


def few(ranges: Sequence[Days], most: int) -> list[Days]:
    """Return at most `most` ranges that hold all days: the smallest gaps are filled first."""
    found = joined(ranges)
    gaps = sorted(range(1, len(found)), key=lambda n: found[n][0] - found[n - 1][1])
    filled = set(gaps[: max(0, len(found) - most)])
    result: list[Days] = []
    for place, one in enumerate(found):
        if place in filled:
            result[-1] = (result[-1][0], one[1])
        else:
            result.append(one)
    return result


def described(ranges: Iterable[Days]) -> str:
    """Say which days, for people: `2013-01-01 to 2013-01-03, 2013-01-09`."""
    said = [f"{one[0]}" if one[0] == one[1] else f"{one[0]} to {one[1]}" for one in ranges]
    more = f" and {len(said) - 6} more ranges" if len(said) > 6 else ""
    return ", ".join(said[:6]) + more
