"""Which day a run is for."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from pipelines.orchestration.day import day_of_moment, day_of_run

NEW_YORK = "America/New_York"
ZONES = st.sampled_from(
    [NEW_YORK, "Europe/Berlin", "Asia/Tokyo", "Pacific/Auckland", "Africa/Cairo", "UTC"]
)
DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2030, 12, 31))


@given(ZONES, DAYS)
def test_a_day_is_the_one_that_was_said_however_it_was_said(zone, day):
    utc_midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    first_hour = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    # Where the clock skips midnight, the day begins at the first moment that there is.
    local_midnight = first_hour.astimezone(dt.UTC).astimezone(ZoneInfo(zone))
    for said in (
        {"date": day.isoformat()},
        {"partition_key": day.isoformat()},
        {"logical_date": utc_midnight},
        {"logical_date": local_midnight},
        {"logical_date": local_midnight.astimezone(dt.UTC)},
        {"date": day.isoformat(), "partition_key": day.isoformat(), "logical_date": utc_midnight},
    ):
        assert day_of_run(zone, **said) == day, said


@given(ZONES, st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)))
def test_a_moment_is_a_day_of_its_zone_or_of_utc_or_is_refused(zone, moment):
    moment = moment.replace(tzinfo=dt.UTC)
    days = {moment.date(), moment.astimezone(ZoneInfo(zone)).date()}
    try:
        assert day_of_moment(zone, moment) in days
    except UsageError:
        assert len(days) == 2


def test_a_run_that_names_no_day_is_not_given_that_of_the_clock():
    with pytest.raises(UsageError, match="names no day") as refused:
        day_of_run(NEW_YORK)
    assert "Trigger it again with `date`, a day (YYYY-MM-DD) in America/New_York" in str(
        refused.value
    )


def test_a_moment_between_two_days_is_refused_with_both_readings():
    moment = dt.datetime(2013, 12, 5, 2, 30, tzinfo=dt.UTC)
    with pytest.raises(UsageError) as refused:
        day_of_run(NEW_YORK, logical_date=moment)
    said = str(refused.value)
    assert "2013-12-05 02:30 UTC is 2013-12-04 21:30 in America/New_York" in said
    assert "with `date`" in said


def test_two_different_days_are_refused_by_name():
    midnight = dt.datetime(2013, 12, 6, tzinfo=dt.UTC)
    with pytest.raises(UsageError) as refused:
        day_of_run(NEW_YORK, date="2013-12-05", logical_date=midnight)
    assert "the parameter `date` (2013-12-05) is 2013-12-05" in str(refused.value)
    assert "the logical date (2013-12-06T00:00:00+00:00) is 2013-12-06" in str(refused.value)


@pytest.mark.parametrize("text", ["05.12.2013", "20131205", "2013-W49-4", "2013-13-01", ""])
def test_a_text_that_is_no_day_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="expected a day as YYYY-MM-DD, such as 2013-12-05"):
        day_of_run(NEW_YORK, date=text)
