"""Which local day a run of a DAG is for. The clock has no say in it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from pipelines.errors import UsageError

_MIDNIGHT = dt.time()


def day_of_run(
    timezone: str,
    *,
    date: str | None = None,
    partition_key: str | None = None,
    logical_date: dt.datetime | None = None,
) -> dt.date:
    """Return the local day of a run, from what was said when the run was made.

    That is the parameter `date` of the trigger form, the partition key (a scheduled run and one of
    a backfill have it), or a logical date; see `day_of_moment`. Raises UsageError where none was
    given or where two name different days.
    """
    said: dict[str, dt.date] = {}
    if date is not None:
        said[f"the parameter `date` ({date})"] = _parse("the parameter `date`", date)
    if partition_key is not None:
        said[f"the partition key ({partition_key})"] = _parse("the partition key", partition_key)
    if logical_date is not None:
        name = f"the logical date ({logical_date.isoformat()})"
        said[name] = day_of_moment(timezone, logical_date)
    if not said:
        raise UsageError(
            "this run names no day: it has neither the parameter `date` nor a partition key nor a "
            "logical date, and the day of the clock is not taken for one. Trigger it again with "
            f"`date`, a day (YYYY-MM-DD) in {timezone}."
        )
    if len(set(said.values())) > 1:
        days = ", ".join(f"{name} is {day}" for name, day in said.items())
        raise UsageError(
            f"this run names several days: in {timezone} {days}. Trigger it again with only one "
            "of them, best with `date`."
        )
    return next(iter(said.values()))


def day_of_moment(timezone: str, moment: dt.datetime) -> dt.date:
    """Return the local day that a logical date stands for.

    A midnight is a day that somebody picked: one of the pipeline's zone, or one of UTC, which is
    what Airflow's pickers and command line speak. Any other moment must lie on the same day in
    both zones; raises UsageError where it doesn't.
    """
    local, utc = moment.astimezone(ZoneInfo(timezone)), moment.astimezone(dt.UTC)
    if local.date() == utc.date() or _is_start_of_day(local):
        return local.date()
    if utc.time() == _MIDNIGHT:
        return utc.date()
    raise UsageError(
        f"the logical date {utc:%Y-%m-%d %H:%M} UTC is {local:%Y-%m-%d %H:%M} in {timezone}: it is "
        f"not clear whether {utc.date()} or {local.date()} is meant. Trigger the run again "
        f"without a logical date and with `date`, a day (YYYY-MM-DD) in {timezone}."
    )


def _is_start_of_day(local: dt.datetime) -> bool:
    """Tell whether a day begins at this moment; where the clock skips midnight, it is later."""
    if local.microsecond or local.second:
        return False
    before = (local.astimezone(dt.UTC) - dt.timedelta(seconds=1)).astimezone(local.tzinfo)
    return before.date() != local.date()


def _parse(what: str, text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except (TypeError, ValueError):
        day = None
    if day is None or day.isoformat() != text:
        raise UsageError(f"{what} is '{text}'; expected a day as YYYY-MM-DD, such as 2013-12-05.")
    return day
