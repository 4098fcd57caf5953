"""What lands by which day, and that landing again touches nothing."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from pipelines.errors import LandingError
from pipelines.landing.flights import KINDS, OUTCOME_COLUMNS, SCHEDULE_COLUMNS, deliver
from pipelines.landing.outcomes import known_at, report_times

UNTIL = dt.date(2013, 1, 3)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The landing folder as of 2013-01-03."""
    folder = tmp_path_factory.mktemp("landing")
    deliver(folder, UNTIL)
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def times(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_by_a_day_its_schedules_and_the_outcomes_of_the_days_before_have_landed(
    landing: Path,
) -> None:
    found = {kind: sorted(file.name for file in (landing / kind).iterdir()) for kind in KINDS}
    assert found == {
        "schedules": ["2013-01-01.csv", "2013-01-02.csv", "2013-01-03.csv"],
        "outcomes": ["2013-01-02.csv", "2013-01-03.csv"],
        "weather": ["2013-01.csv"],
        "planes": ["planes.csv"],
        "airports": ["airports.csv"],
        "airlines": ["airlines.csv"],
    }


def test_a_schedule_holds_nothing_that_is_known_only_after_departure(landing: Path) -> None:
    first = rows(landing / "schedules" / "2013-01-01.csv")
    assert len(first) == 842
    assert tuple(first[0]) == SCHEDULE_COLUMNS
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(first[0])


def test_outcomes_are_reported_at_six_in_the_morning_of_new_york(landing: Path) -> None:
    reported = rows(landing / "outcomes" / "2013-01-02.csv")
    assert tuple(reported[0]) == OUTCOME_COLUMNS
    assert {row["reported_at"] for row in reported} == {"2013-01-02T11:00:00Z"}
    assert {row["day"] for row in reported} == {"1"}


def test_weather_has_landed_up_to_the_end_of_the_local_day(landing: Path) -> None:
    observed = rows(landing / "weather" / "2013-01.csv")
    assert max(row["time_hour"] for row in observed) == "2013-01-04T04:00:00Z"
    assert observed == sorted(observed, key=lambda row: (row["time_hour"], row["origin"]))


def test_landing_again_or_up_to_an_earlier_day_touches_no_file(landing: Path) -> None:
    before = times(landing)
    nothing = dict.fromkeys(KINDS, 0)
    assert deliver(landing, UNTIL) == nothing
    assert deliver(landing, dt.date(2013, 1, 1)) == nothing
    assert times(landing) == before


def test_a_day_later_only_that_days_files_and_the_running_month_are_written(
    tmp_path: Path,
) -> None:
    deliver(tmp_path, dt.date(2013, 1, 1))
    before = times(tmp_path)
    assert deliver(tmp_path, dt.date(2013, 1, 2)) == {
        "schedules": 1,
        "outcomes": 1,
        "weather": 1,
        "planes": 0,
        "airports": 0,
        "airlines": 0,
    }
    changed = {file for file, time in times(tmp_path).items() if before.get(file) != time}
    assert {str(Path(file).relative_to(tmp_path)) for file in changed} == {
        "schedules/2013-01-02.csv",
        "outcomes/2013-01-02.csv",
        "weather/2013-01.csv",
    }
    assert not list(tmp_path.rglob(".*"))


def test_a_day_before_the_data_begins_delivers_only_what_does_not_change(tmp_path: Path) -> None:
    written = deliver(tmp_path, dt.date(2012, 12, 31))
    assert written == {**dict.fromkeys(KINDS, 0), "planes": 1, "airports": 1, "airlines": 1}


def test_a_landing_folder_that_is_a_file_is_said_to_be_so(tmp_path: Path) -> None:
    place = tmp_path / "landing"
    place.write_text("")
    with pytest.raises(LandingError, match=r"can't be written: Not a directory\. Mend"):
        deliver(place, dt.date(2012, 12, 31))


AIRPORTS = pd.DataFrame({"faa": ["LAX", "BQN"], "tzone": ["America/Los_Angeles", "NA"]})


def flight(dep_time: str, dep_delay: str, arr_time: str, dest: str = "LAX") -> pd.DataFrame:
    """A flight of 2013-07-01, scheduled at 22:45 in New York."""
    return pd.DataFrame(
        {
            "time_hour": ["2013-07-02T02:00:00Z"],
            "minute": ["45"],
            "dep_time": [dep_time],
            "dep_delay": [dep_delay],
            "arr_time": [arr_time],
            "dest": [dest],
        }
    )


@pytest.mark.parametrize(
    ("of_flight", "known", "delivery", "reported_at"),
    [
        (flight("2245", "0", "115"), "2013-07-02 08:15", "2013-07-02", "2013-07-02T10:00:00Z"),
        (flight("153", "188", "401"), "2013-07-02 11:01", "2013-07-03", "2013-07-03T10:00:00Z"),
        (flight("2245", "0", "245", "BQN"), "2013-07-02 06:45", "2013-07-02", None),
        (flight("2245", "0", "300"), "2013-07-02 10:00", "2013-07-02", "2013-07-02T10:00:00Z"),
        (flight("645", "480", "NA"), "2013-07-02 10:45", "2013-07-03", None),
        (flight("NA", "NA", "NA"), "2013-07-02 02:45", "2013-07-02", None),
    ],
    ids=["red_eye", "late", "airport_without_zone", "lands_at_six", "no_arrival", "cancelled"],
)
def test_an_outcome_is_reported_on_the_first_morning_after_the_arrival(
    of_flight: pd.DataFrame, known: str, delivery: str, reported_at: str | None
) -> None:
    flight_date = pd.Series(["2013-07-01"])
    at = known_at(of_flight, flight_date, AIRPORTS)
    assert f"{at[0]:%Y-%m-%d %H:%M}" == known
    report = report_times(at, flight_date).iloc[0]
    assert report["delivery"] == delivery
    assert report["reported_at"] == (reported_at or f"{delivery}T10:00:00Z")


def test_a_flight_before_dawn_is_reported_the_day_after() -> None:
    at = pd.Series(pd.to_datetime(["2013-03-10 08:00"]))
    report = report_times(at, pd.Series(["2013-03-10"])).iloc[0]
    assert (report["delivery"], report["reported_at"]) == ("2013-03-11", "2013-03-11T10:00:00Z")
