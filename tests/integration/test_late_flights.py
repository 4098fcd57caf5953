"""Late, corrected and deleted rows of the flights, from the landing folder to gold."""

from __future__ import annotations

import datetime as dt
import os
import shutil

import pandas as pd
import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F

from pipelines.lake.read import latest_version, read_at
from pipelines.runner import run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]

LAST = dt.date(2013, 1, 8)
WEATHER = "weather/2013-01.csv"
LATER = dt.datetime(2013, 2, 1, tzinfo=dt.UTC).timestamp()


def with_temp(day, temp):
    return lambda rows: rows.assign(temp=rows["temp"].where(rows["day"] != day, temp))


def table(run, name):
    return read_at(run.spark, run.lake, name, latest_version(run.spark, run.lake, name))


def comparable(rows):
    doubles = [name for name, kind in rows.dtypes if kind == "double"]
    rounded = rows.withColumns({name: F.round(name, 6) for name in doubles})
    return rounded.orderBy("flight_date", "carrier", "flight", "origin")


def test_gold_follows_late_corrected_and_deleted_rows_as_a_full_recompute_would(
    flights_landing, tmp_path, open_test_run
):
    landing = tmp_path / "landing"
    shutil.copytree(flights_landing(LAST), landing)
    for file in landing.rglob("*.csv"):
        os.utime(file, (LATER - 86_400, LATER - 86_400))

    def run(stage, **more):
        opened = open_test_run(landing=landing, **more)
        return run_stage(stage, opened), opened

    def change(name, new_name, edit):
        rows = edit(pd.read_csv(landing / name, dtype=str, keep_default_na=False))
        rows.to_csv(landing / new_name, index=False)
        os.utime(landing / new_name, (LATER, LATER))

    late = landing / "outcomes/2013-01-05.csv"
    late.rename(tmp_path / "late.csv")
    for stage in ("ingest", "clean", "featurize"):
        run(stage)

    shutil.move(tmp_path / "late.csv", late)  # with its old time: nothing newer is known of it
    of_day, again = "schedules/2013-01-04.csv", "schedules/2013-01-04-again.csv"
    change(of_day, again, lambda rows: rows.head(20).assign(distance="500"))
    change(WEATHER, WEATHER, with_temp("7", "11.5"))
    change("planes/planes.csv", "planes/planes-2.csv", lambda rows: rows.iloc[100:])
    _, opened = run("ingest")
    cleaned, _ = run("clean")
    assert cleaned.counts["outcomes.inserted"] > 500
    assert cleaned.counts["flights.updated"] == 20
    assert cleaned.counts["weather.updated"] > 60
    assert cleaned.counts["planes.removed"] == 100
    result, _ = run("featurize", date=LAST)
    assert "note" not in result.details
    run("featurize", overrides=["featurize.table=flights_again"])
    gold, whole = table(opened, "gold.flights"), table(opened, "gold.flights_again")
    assert_df_equality(comparable(gold.where(f"flight_date <= DATE'{LAST}'")), comparable(whole))

    # A corrected day of weather touches that day and the one after it, and nothing else.
    change(WEATHER, WEATHER, with_temp("3", "12.5"))
    os.utime(landing / WEATHER, (LATER + 1, LATER + 1))
    run("ingest")
    run("clean")
    result, _ = run("featurize")
    assert result.details["made_again"] == [["2013-01-03", "2013-01-04"]]
