"""Two drivers on one lake, in processes of their own, end as if one had come after the other."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack

import pytest

from pipelines.lake.read import latest_version, read_at
from pipelines.landing import weather
from tests.drivers import Driver
from tests.lakes import content, differences

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def drivers(tmp_path_factory):
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path_factory.mktemp("drivers") / "log").open("wb"))
        both = [Driver(log) for _ in range(2)]
        for one in both:
            stack.callback(one.end)
        yield [one.wait_until_ready() for one in both]


def at_once(drivers, *asked):
    """Have each driver run what it is asked; return the counts of both."""
    for driver, one in zip(drivers, asked, strict=True):
        driver.start(**one)
    answers = [driver.answer() for driver in drivers]
    assert [one.get("error") for one in answers] == [None, None]
    return [one["counts"] for one in answers]


def test_two_of_the_same_stage_end_as_one_after_the_other(drivers, tmp_path, open_test_run):
    from pipelines.runner import run_stage

    landing, alone = tmp_path / "landing", tmp_path / "alone"
    asked = {"pipeline": "weather", "lake": str(tmp_path / "lake")}
    asked["overrides"] = [f"landing={landing}"]
    weather.deliver(landing, dt.date(2013, 1, 9))
    from pipelines.lake.catalog import Lake

    for stage in ("ingest", "clean", "featurize", "normalize"):
        given = [{**asked, "stage": stage, "run_id": f"{stage}-{n}"} for n in (1, 2)]
        counts = at_once(drivers, *given)
        run_stage(stage, open_test_run("weather", landing=landing, lake=Lake(str(alone))))
        if stage in ("ingest", "clean"):
            assert min(one["rows_in"] for one in counts) == 0, "the second found nothing new"
    one, two = content(alone), content(tmp_path / "lake")
    one.pop("monitoring.runs")
    assert len(two.pop("monitoring.runs")) == 8, "both runs of each stage are recorded"
    for found in (one, two):
        # Says which table the days were made in.
        found["_state/weather/featurize/days.json"].pop("table")
    assert differences(one, two) == []


def test_a_backfill_beside_the_daily_run_predicts_nothing_twice(
    drivers,
    spark,
    lake,
    features,
    promoted,
):
    asked = {"pipeline": "flights", "stage": "score", "lake": lake.root, "date": "2013-01-16"}
    daily, backfill = at_once(drivers, asked, {**asked, "since": "2013-01-15"})
    assert (daily["rows_in"], backfill["rows_in"]) == (10, 30)
    assert daily["inserted"] + backfill["inserted"] == 30
    table = read_at(
        spark, lake, "predictions.flights_late",
        latest_version(spark, lake, "predictions.flights_late"),
    )  # fmt: skip
    assert table.count() == table.select("flight", "scoring_date").distinct().count() == 30
