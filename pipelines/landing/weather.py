"""Delivers the hourly weather of New York's airports in 2013: files of a month, the last grows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pipelines.landing.files import put
from pipelines.landing.source import as_csv, local_day, read_frame


def deliver(folder: Path, until: dt.date) -> dict[str, int]:
    """Write what had been observed by the end of the local day `until`; return files written."""
    weather = read_frame("weather")
    day = local_day(weather)
    observed = weather.assign(_month=day.str.slice(0, 7)).loc[day <= until.isoformat()]
    # Ordered by time, so that a running month's file grows at its end.
    observed = observed.sort_values(["time_hour", "origin"], kind="stable")
    written = 0
    for month, rows in observed.groupby("_month"):
        written += put(folder / "weather" / f"{month}.csv", as_csv(rows[list(weather.columns)]))
    return {"weather": written}
