"""The default run in small: six days of flights, from landing files to a report, told twice."""

import datetime as dt
import io
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.story import Dates, tell
from pipelines.summary import gather, show

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.end_to_end]

SPLITS = (
    "normalize.split.train=[2013-01-01, 2013-01-02]",
    "normalize.split.validation=[2013-01-03, 2013-01-03]",
    # Outcomes of the last day of history are still on their way: the day before has labels.
    "normalize.split.test=[2013-01-04, 2013-01-05]",
    "train.epochs=1",
    # Two days teach a model nothing; whether it is good is not what is tested here.
    "promote.threshold=0",
)


def test_the_story_leads_to_predictions_and_a_report_and_told_again_changes_nothing(
    open_test_run, tmp_path
):
    def told():
        run = open_test_run(landing=tmp_path / "landing", overrides=SPLITS)
        tell(run, Dates.of(run.pipeline, dt.date(2013, 1, 6)), step=1)
        return gather(run.pipeline, run.lake)

    summary = told()
    rows = {fact.table: fact.num_rows for fact in summary.tables}
    # 832 flights were due to leave on the one day that is scored.
    assert rows["predictions.flights_late"] == 832
    assert rows["bronze.schedules"] == rows["silver.flights"]
    assert set(summary.model.metrics) == set(summary.model.constant_metrics)
    assert Path(summary.report).name == "2013-01-06.html"
    console = Console(file=io.StringIO(), width=160)
    show(summary, console)
    assert "constant guess" in console.file.getvalue()

    assert told() == summary
