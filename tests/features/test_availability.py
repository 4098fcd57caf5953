"""Nothing in a feature row was known only after its prediction, on a real slice of flights."""

import datetime as dt
from contextlib import ExitStack
from dataclasses import replace

import pytest

from pipelines.config.load import load_pipeline
from pipelines.features.availability import find_leaks, known_at
from pipelines.features.query import Span, SqlFile, Tables, run_sql
from tests.features.silver import silver_tables

pytestmark = pytest.mark.spark

# Clocks were put forward on this day.
DAY = dt.date(2013, 3, 10)


@pytest.fixture(scope="module")
def flights(project):
    return load_pipeline("flights", root=project)


@pytest.fixture(scope="module")
def tables(spark, flights, flights_landing):
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    read = silver_tables(session, flights_landing(dt.date(2013, 3, 12)), flights)
    with ExitStack() as keep:
        for df in read.values():
            keep.callback(df.persist().unpersist)
        yield Tables(read)


@pytest.fixture
def compute(flights):
    """A function that computes a day's rows, from SQL files that `change` may have changed."""
    with ExitStack() as keep:

        def computed(tables, day, change=lambda file: file):
            files = [change(SqlFile.read(flights.folder, name)) for name in flights.featurize.sql]
            return run_sql(files, tables, Span(day, day, flights.timezone), keep)

        yield computed


def some_rows(df, *conditions):
    """For each condition the first row that fulfils it."""
    ordered = df.orderBy("prediction_at", "carrier", "flight", "origin").persist()
    rows = [ordered.where(condition).first() for condition in conditions]
    ordered.unpersist()
    return rows


def test_a_row_is_identical_when_all_that_came_later_is_deleted(flights, tables, compute):
    rows = some_rows(
        compute(tables, DAY),
        # Predicted before the morning's report came in, and after it.
        "sched_minute BETWEEN 400 AND 420 AND tailnum IS NOT NULL",
        "sched_minute > 1200 AND legs_before > 0",
    )
    early, late = rows
    assert early.flight_flights_28d > 0
    assert late.mean_delay_1d != early.mean_delay_1d

    assert find_leaks(rows, tables, flights.featurize, compute) == []


def test_a_flight_soon_after_midnight_is_predicted_when_its_days_schedule_arrives(spark, flights):
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    # Local midnight of the 10th is 05:00 UTC; at two the clocks are put forward.
    leaves = {"before": "2013-03-10 04:10", "soon": "2013-03-10 05:20", "later": "2013-03-10 09:00"}
    rows = [
        f"('{name}', {number}, TIMESTAMP '{at}', DATE '{'2013-03-09' if number == 1 else DAY}')"
        for number, (name, at) in enumerate(leaves.items(), start=1)
    ]
    derive = flights.clean.entities["flights"].derive
    silver = session.sql(
        "SELECT carrier, flight, sched_dep_at, flight_date, "
        f"{derive['available_at']} AS available_at, date_trunc('HOUR', sched_dep_at) AS hour_at, "
        "'JFK' AS origin, 'SFO' AS dest, 'N1' AS tailnum, 100D AS distance, 900 AS sched_arr_time "
        f"FROM VALUES {', '.join(rows)} AS t(carrier, flight, sched_dep_at, flight_date)"
    )
    airports = session.sql("SELECT 'SFO' AS faa, 'America/Los_Angeles' AS tzone")
    departures = [SqlFile.read(flights.folder, "departures.sql")]
    read = Tables({"silver.flights": silver, "silver.airports": airports})
    with ExitStack() as keep:
        span = Span(dt.date(2013, 3, 9), DAY, flights.timezone)
        found = {
            row["carrier"]: (str(row["prediction_utc"]), row["departures_hour_before"])
            for row in run_sql(departures, read, span, keep)
            .selectExpr("*", "CAST(prediction_at AS STRING) AS prediction_utc")
            .collect()
        }
    assert found == {
        "before": ("2013-03-10 02:10:00", 0),
        # Not at 03:20, when only the day before was known; nor is that day's flight counted.
        "soon": ("2013-03-10 05:00:00", 0),
        "later": ("2013-03-10 07:00:00", 0),
    }


def test_much_of_what_the_flights_read_came_later(flights, tables):
    settings = flights.featurize
    moment = dt.datetime(2013, 3, 10, 16, tzinfo=dt.UTC)
    for name in ("silver.flights", "silver.outcomes", "silver.weather"):
        earlier = known_at(tables, settings, moment)[name].count()
        assert 0 < earlier < tables[name].count()


@pytest.mark.parametrize(
    ("name", "honest", "leaking", "columns"),
    [
        # Reports count from the day they are about, not from when they came in.
        (
            "last_report",
            "r.reported_at <= m.prediction_at",
            "r.report_day <= date(m.prediction_at)",
            {"mean_delay_1d", "late_rate_28d", "carrier_late_rate_7d"},
        ),
        # An observation is used in the hour it was made, before it was known.
        ("weather_by_hour", "observed_at + INTERVAL 1 HOUR", "observed_at", {"wind_speed"}),
    ],
)
def test_a_leaking_query_is_caught(flights, tables, compute, name, honest, leaking, columns):
    def change(file):
        if file.name != name:
            return file
        assert honest in file.text
        return replace(file, text=file.text.replace(honest, leaking))

    def compute_leaking(tables, day):
        return compute(tables, day, change)

    rows = some_rows(compute_leaking(tables, DAY), "sched_minute BETWEEN 400 AND 420")
    leaks = find_leaks(rows, tables, flights.featurize, compute_leaking)
    assert columns <= {leak.column for leak in leaks}
