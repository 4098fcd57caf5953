import datetime as dt

import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError, UsageError
from pipelines.run import Done
from pipelines.story import Dates, chapters, deliverer, land, tell

DAY = dt.date


def flights(*overrides, env="test"):
    return load_pipeline("flights", env, overrides)


def test_the_default_story_is_told_of_december():
    dates = Dates.of(flights(env=None))
    assert dates == Dates(DAY(2013, 1, 1), DAY(2013, 11, 30), DAY(2013, 12, 31))
    assert dates.labels_until == DAY(2014, 1, 2)


def test_december_arrives_in_five_deliveries_and_is_scored_day_by_day():
    told = list(chapters(Dates.of(flights(env=None)), 7))
    arrivals = [c for c in told if c.name.startswith("arrives")]
    assert [c.date.day for c in arrivals] == [7, 14, 21, 28, 31]
    assert [c.since.day for c in arrivals] == [1, 8, 15, 22, 29]
    scored = [c.date for c in told if c.stages == ("score",)]
    assert scored == [DAY(2013, 12, day) for day in range(1, 32)]
    assert all(c.land_until == c.date for c in arrivals)


def test_a_day_is_scored_before_the_next_delivery_arrives():
    names = [c.name for c in chapters(Dates(DAY(2013, 1, 1), DAY(2013, 1, 9), DAY(2013, 1, 12)), 2)]
    assert names == [
        "history",
        *("arrives-2013-01-11", "score-2013-01-10", "score-2013-01-11"),
        *("arrives-2013-01-12", "score-2013-01-12"),
        "labels",
    ]


def test_a_split_by_hash_has_no_story():
    with pytest.raises(SettingsError, match=r"needs `normalize\.split\.by: date`"):
        Dates.of(flights("normalize.split={by: hash}"))


def test_a_story_that_ends_in_its_history_is_refused():
    with pytest.raises(UsageError, match="must lie after the test split, which ends 2013-01-14"):
        Dates.of(flights(), DAY(2013, 1, 14))


def test_a_pipeline_without_deliveries_says_where_its_files_go():
    with pytest.raises(UsageError, match="'shop' has no deliveries of its own: put its files into"):
        deliverer(flights().model_copy(update={"name": "shop"}))


def test_files_are_not_delivered_to_an_object_store():
    with pytest.raises(UsageError, match=r"`landing: s3a://bucket/landing` is no local folder"):
        land(flights("landing=s3a://bucket/landing"), DAY(2013, 1, 1))


@pytest.mark.spark
class TestTelling:
    dates = Dates(DAY(2013, 1, 1), DAY(2013, 1, 14), DAY(2013, 1, 16))

    @pytest.fixture
    def world(self, monkeypatch):
        """What happened: deliveries and stages, in order; a stage named `broken` fails."""
        happened = []
        broken = set()

        def deliver(folder, until):
            happened.append(("land", until))
            return {"schedules": 1}

        def run(stage):
            def work(run):
                if stage in broken:
                    raise KeyboardInterrupt
                happened.append((stage, run.since, run.date, run.run_id))
                return Done(date=run.date)

            return work

        import sys
        from types import ModuleType

        from pipelines.stages.catalog import STAGES

        for stage in STAGES.names:
            module = ModuleType(f"pipelines.stages.{stage}")
            module.run = run(stage)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr("pipelines.landing.flights.deliver", deliver)
        return happened, broken

    def test_the_story_is_told_in_order(self, world, open_test_run):
        happened, _ = world
        results = tell(open_test_run(), self.dates, 7)
        prepare = ["ingest", "clean", "featurize"]
        assert [event[0] for event in happened] == [
            *("land", *prepare, "normalize", "train", "promote"),
            *("land", *prepare, "score", "score"),
            *("land", *prepare, "monitor"),
        ]
        assert len(results) == len(happened) - 3
        days = [event[1] for event in happened if event[0] == "land"]
        assert days == [DAY(2013, 1, 14), DAY(2013, 1, 16), DAY(2013, 1, 18)]

    def test_a_candidate_is_promoted_under_the_run_id_of_its_training(self, world, open_test_run):
        happened, _ = world
        tell(open_test_run(), self.dates, 7)
        ids = {event[3] for event in happened if event[0] in ("train", "promote")}
        assert len(ids) == 1

    def test_told_again_nothing_is_done_twice(self, world, open_test_run):
        happened, _ = world
        first = tell(open_test_run(), self.dates, 7)
        number = len(happened)
        assert tell(open_test_run(), self.dates, 7) == first
        assert len(happened) == number

    def test_told_further_the_history_is_not_done_again(self, world, open_test_run):
        happened, _ = world
        tell(open_test_run(), self.dates, 1)
        number = len(happened)
        tell(open_test_run(), Dates(DAY(2013, 1, 1), DAY(2013, 1, 14), DAY(2013, 1, 17)), 1)
        assert [event[0] for event in happened[number:]] == [
            *("land", "ingest", "clean", "featurize", "score"),
            *("land", "ingest", "clean", "featurize", "monitor"),
        ]

    def test_stopped_in_the_middle_it_goes_on_from_there(self, world, open_test_run):
        happened, broken = world
        broken.add("train")
        with pytest.raises(KeyboardInterrupt):
            tell(open_test_run(), self.dates, 7)
        broken.clear()
        number = len(happened)
        tell(open_test_run(), self.dates, 7)
        assert [event[0] for event in happened[number:]][:3] == ["train", "promote", "land"]

    def test_only_what_depends_on_a_changed_setting_is_done_again(self, world, open_test_run):
        happened, _ = world
        tell(open_test_run(), self.dates, 7)
        number = len(happened)
        tell(open_test_run(overrides=["train.epochs=3"]), self.dates, 7)
        again = [event[0] for event in happened[number:]]
        assert again == ["train", "promote", "score", "score", "monitor"]

    def test_a_delivery_of_no_days_is_refused(self, open_test_run):
        with pytest.raises(UsageError, match="--step 0: a delivery holds one day or more"):
            tell(open_test_run(), self.dates, 0)
