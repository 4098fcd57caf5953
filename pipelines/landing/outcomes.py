"""When the outcome of a flight was known, and in which morning's file it was reported."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import pandas as pd

HOME = ZoneInfo("America/New_York")
REPORT_HOUR = 6
# Four airports of Puerto Rico and the Virgin Islands are not in the airports file.
_ZONE_OF_THE_UNKNOWN = "America/Puerto_Rico"
_DAY = 24 * 60


def _offset(day: str, zone: str) -> int:
    """Return the minutes a zone's clock is ahead of UTC at noon of a day."""
    noon = dt.datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZoneInfo(zone))
    shift = noon.utcoffset()
    return int(shift.total_seconds()) // 60 if shift is not None else 0


def _minute_of_day(clock: pd.Series) -> pd.Series:
    """Turn `517`, `2400`, `NA` into minutes since midnight, not-a-number where missing."""
    import pandas as pd

    number = pd.to_numeric(clock, errors="coerce")
    return (number // 100 * 60 + number % 100) % _DAY


def known_at(flights: pd.DataFrame, flight_date: pd.Series, airports: pd.DataFrame) -> pd.Series:
    """Return the UTC time at which each outcome was known.

    That is the arrival; where there is none the departure; for a cancelled flight its schedule.
    Clock times are local, of the origin for the departure and of the destination for the arrival,
    so the time under way is their difference less that of the zones.
    """
    import pandas as pd

    scheduled = pd.to_datetime(flights["time_hour"], format="%Y-%m-%dT%H:%M:%SZ")
    scheduled += pd.to_timedelta(pd.to_numeric(flights["minute"]), unit="min")
    delay = pd.to_numeric(flights["dep_delay"], errors="coerce")
    departed = scheduled + pd.to_timedelta(delay.fillna(0), unit="min")

    zones = dict(zip(airports["faa"], airports["tzone"], strict=True))
    zone = flights["dest"].map(zones).fillna(_ZONE_OF_THE_UNKNOWN)
    zone = zone.where(zone.str.contains("/"), _ZONE_OF_THE_UNKNOWN)
    pairs = pd.Series(list(zip(flight_date, zone, strict=True)), index=flights.index)
    ahead = {pair: _offset(*pair) - _offset(pair[0], HOME.key) for pair in set(pairs.array)}
    under_way = (
        _minute_of_day(flights["arr_time"]) - _minute_of_day(flights["dep_time"]) - pairs.map(ahead)
    ) % _DAY
    return departed + pd.to_timedelta(under_way.fillna(0), unit="min")


def report_times(known: pd.Series, flight_date: pd.Series) -> pd.DataFrame:
    """Return `delivery` (local day, text) and `reported_at` (UTC, text) of each outcome.

    An outcome is reported at the first 06:00 of New York that is not before it was known, the day
    after the flight at the earliest.
    """
    import pandas as pd

    local = known.dt.tz_localize("UTC").dt.tz_convert(HOME.key).dt.tz_localize(None)
    earliest = pd.to_datetime(flight_date) + pd.Timedelta(days=1)
    morning = (local - pd.Timedelta(hours=REPORT_HOUR)).dt.ceil("D")
    day = morning.where(morning > earliest, earliest)
    texts = {
        one: (
            f"{one:%Y-%m-%d}",
            dt.datetime(one.year, one.month, one.day, REPORT_HOUR, tzinfo=HOME)
            .astimezone(dt.UTC)
            .strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for one in day.unique()
    }
    delivery = day.map({one: text[0] for one, text in texts.items()})
    reported = day.map({one: text[1] for one, text in texts.items()})
    return pd.DataFrame({"delivery": delivery, "reported_at": reported})
