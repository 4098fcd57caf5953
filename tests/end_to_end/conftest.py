"""One small lake that the default run made, shared by the tests that look at the whole."""

import datetime as dt

import pytest

from pipelines.config.load import load_pipeline
from pipelines.lake.catalog import Lake
from pipelines.runner import open_run, run_stage
from pipelines.story import Dates, tell

SCORED = dt.date(2013, 1, 15)


class Whole:
    """The default run in small: fifteen days of flights, from landing files to a report."""

    def __init__(self, spark, folder):
        self._spark = spark
        self.lake = Lake(str(folder / "lake"))
        landing = f"landing={folder / 'landing'}"
        self.pipeline = load_pipeline("flights", "test", [landing], self.lake.root)

    def tell(self):
        """Tell it, as `tidemill story` does; return all results in order."""
        dates = Dates.of(self.pipeline, SCORED)
        return tell(open_run(self.pipeline, spark=self._spark), dates, step=1)

    def run(self, stage):
        """Run a stage once more."""
        return run_stage(stage, open_run(self.pipeline, spark=self._spark))


@pytest.fixture(scope="session")
def whole(spark, tmp_path_factory):
    """The default run; `first_results` has it told."""
    return Whole(spark, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def first_results(whole):
    """Each stage's first result, by its name."""
    return {result.stage: result for result in reversed(whole.tell())}
