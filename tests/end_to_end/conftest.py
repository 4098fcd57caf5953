"""One small lake that went through all stages, shared by the tests that look at the whole."""

import datetime as dt
import shutil

import pytest

from pipelines.config.load import load_pipeline
from pipelines.lake.catalog import Lake
from pipelines.runner import open_run, run_stage
from pipelines.stages.catalog import STAGES

UNTIL = dt.date(2013, 1, 17)
SCORED = dt.date(2013, 1, 16)


@pytest.fixture(scope="session")
def run_all(spark, flights_landing, tmp_path_factory):
    """Land a slice, and give a function that takes it through all stages into one lake."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(flights_landing(UNTIL), folder / "landing")
    lake = Lake(str(folder / "lake"))
    pipeline = load_pipeline("flights", "test", [f"landing={folder / 'landing'}"], lake.root)

    def run():
        dated = {"featurize": None, "score": SCORED, "monitor": SCORED}
        return {
            stage: run_stage(stage, open_run(pipeline, date=dated.get(stage), spark=spark))
            for stage in STAGES.names
        }

    run.lake = lake
    run.pipeline = pipeline
    return run


@pytest.fixture(scope="session")
def first_results(run_all):
    """Results of the first run, by stage."""
    return run_all()
