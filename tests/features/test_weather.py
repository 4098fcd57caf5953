"""The features of the built-in pipeline `weather`: 24 hours in lists, nothing from the future."""

import datetime as dt
from contextlib import ExitStack

import pytest

from pipelines.config.load import load_pipeline
from pipelines.features.availability import find_leaks
from pipelines.features.query import Span, SqlFile, Tables, run_sql
from pipelines.landing.weather import deliver
from tests.features.silver import silver_tables

pytestmark = pytest.mark.spark

# Clocks were put forward on this day.
DAY = dt.date(2013, 3, 10)


@pytest.fixture(scope="module")
def weather(project):
    return load_pipeline("weather", root=project)


@pytest.fixture(scope="module")
def tables(spark, weather, tmp_path_factory):
    landing = tmp_path_factory.mktemp("weather")
    assert deliver(landing, dt.date(2013, 3, 12)) == {"weather": 3}
    assert deliver(landing, dt.date(2013, 3, 12)) == {"weather": 0}
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    read = silver_tables(session, landing, weather)
    days = "forecast_date BETWEEN '2013-03-07' AND '2013-03-12'"
    with ExitStack() as keep:
        kept = {name: df.where(days).persist() for name, df in read.items()}
        for df in kept.values():
            keep.callback(df.unpersist)
        yield Tables(kept)


def test_a_row_looks_back_a_day_and_knows_nothing_of_the_time_after(weather, tables) -> None:
    def compute(tables, day):
        files = [SqlFile.read(weather.folder, "temperatures.sql")]
        return run_sql(files, tables, Span(day, day, weather.timezone), ExitStack())

    rows = compute(tables, DAY).orderBy("origin", "forecast_at").persist()
    assert rows.count() == 3 * 23
    first = rows.first()
    # 05:00 UTC is midnight in New York.
    assert (first["origin"], str(first["forecast_date"])) == ("EWR", "2013-03-10")
    assert first["minute_of_day"] == 0
    for name in ("temps", "humids", "pressures", "wind_speeds", "winds"):
        assert len(first[name]) == 24, name
    seen = tables["silver.observations"].where("origin = 'EWR'").orderBy("observed_at").collect()
    temps = [row["temp"] for row in seen]
    place = next(i for i, row in enumerate(seen) if row["forecast_date"] == DAY)
    assert first["temps"] == temps[place - 23 : place + 1]
    assert first["temp_change"] == pytest.approx(temps[place + 6] - temps[place])
    sample = [first, rows.where("minute_of_day = 600").first()]
    assert find_leaks(sample, tables, weather.featurize, compute) == []
