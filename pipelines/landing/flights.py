"""Delivers the flights of 2013 to a landing folder, as they would have arrived by a day's end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.landing.files import put
from pipelines.landing.outcomes import known_at, report_times
from pipelines.landing.source import as_csv, local_day, read_frame

if TYPE_CHECKING:
    import pandas as pd

# What is known before departure: no delay, no actual time.
SCHEDULE_COLUMNS = (
    *("year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight"),
    *("tailnum", "origin", "dest", "distance", "hour", "minute", "time_hour"),
)
OUTCOME_COLUMNS = (
    *("year", "month", "day", "carrier", "flight", "origin", "dep_time", "dep_delay"),
    *("arr_time", "arr_delay", "air_time", "reported_at"),
)
FIRST_DAY = dt.date(2013, 1, 1)
LAST_DELIVERY = "2014-01-03"
# The longest known wait from a flight's day to its report is two days.
REPORTED_WITHIN = dt.timedelta(days=3)
KINDS = ("schedules", "outcomes", "weather", "planes", "airports", "airlines")


def deliver(folder: Path, until: dt.date) -> dict[str, int]:
    """Write what had arrived at the end of the local day `until`; return files written per kind.

    A day's schedule arrives as the day begins, its outcomes with the daily reports after it.
    A day's file is delivered once and left alone from then on, the running month of the weather
    grows; so delivering again, or up to an earlier day, changes nothing. Each file appears whole
    (it is written under a hidden name, then renamed).
    """
    written = dict.fromkeys(KINDS, 0)
    for kind, name, content in _monthly(until.isoformat()):
        written[kind] += put(folder / kind / f"{name}.csv", content)
    for kind, name, content in _daily(folder, until):
        written[kind] += put(folder / kind / f"{name}.csv", content)
    return written


def _monthly(last: str) -> Iterator[tuple[str, str, bytes]]:
    for kind in ("planes", "airports", "airlines"):
        yield kind, kind, as_csv(read_frame(kind))
    weather = read_frame("weather")
    day = local_day(weather)
    observed = weather.assign(_month=day.str.slice(0, 7)).loc[day <= last]
    # Ordered by time, so that a running month's file grows at its end.
    observed = observed.sort_values(["time_hour", "origin"], kind="stable")
    for month, rows in observed.groupby("_month"):
        yield "weather", str(month), as_csv(rows[list(weather.columns)])


def _daily(folder: Path, until: dt.date) -> Iterator[tuple[str, str, bytes]]:
    days = [FIRST_DAY + dt.timedelta(days=n) for n in range((until - FIRST_DAY).days + 1)]
    missing = {
        kind: {f"{day}" for day in days if not (folder / kind / f"{day}.csv").is_file()}
        for kind in ("schedules", "outcomes")
    }
    # No outcome is reported on the first day; after the year's end there is nothing more.
    missing["outcomes"].discard(f"{FIRST_DAY}")
    wanted = {day for kind in missing.values() for day in kind if day <= LAST_DELIVERY}
    if not wanted:
        return
    flights = read_frame("flights")
    flight_date = local_day(flights)
    begin = dt.date.fromisoformat(min(wanted)) - REPORTED_WITHIN
    flights = flights.loc[(flight_date >= f"{begin}") & (flight_date <= f"{until}")]
    flight_date = flight_date.loc[flights.index]
    schedules = flights[list(SCHEDULE_COLUMNS)]
    yield from _by_day("schedules", schedules, flight_date, missing["schedules"])

    known = known_at(flights, flight_date, read_frame("airports"))
    reports = report_times(known, flight_date)
    outcomes = flights.assign(reported_at=reports["reported_at"])[list(OUTCOME_COLUMNS)]
    yield from _by_day("outcomes", outcomes, reports["delivery"], missing["outcomes"])


def _by_day(
    kind: str, rows: pd.DataFrame, day: pd.Series, wanted: set[str]
) -> Iterator[tuple[str, str, bytes]]:
    chosen = day.loc[day.isin(wanted)]
    for name, part in rows.loc[chosen.index].groupby(chosen):
        yield kind, str(name), as_csv(part)
