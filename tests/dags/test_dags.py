"""The DAGs in Airflow: every one loads, and together they take a slice of flights from landing to
predictions with real Spark jobs."""

import datetime as dt
import json
import subprocess
from zoneinfo import ZoneInfo

import pytest

from tests.dags.conftest import ENV, ROOT

pytestmark = pytest.mark.airflow
DAY = dt.datetime(2013, 1, 16, tzinfo=ZoneInfo("America/New_York"))


def test_every_dag_loads_without_an_error(dagbag):
    assert dagbag.import_errors == {}
    assert set(dagbag.dag_ids) >= {
        "flights_prepare",
        "flights_train",
        "flights_score",
        "flights_monitor",
    }


def test_tasks_are_spark_jobs_of_the_project_in_the_order_of_the_stages(dagbag):
    dag = dagbag.dags["flights_prepare"]
    assert [task.task_id for task in dag.topological_sort()] == ["ingest", "clean", "featurize"]
    for task in dag.tasks:
        assert task.task_type == "SparkSubmitOperator"
        assert task.application == str(ROOT / "spark_jobs" / f"{task.task_id}.py")


def test_scoring_waits_for_the_features_of_the_same_day(dagbag):
    dag = dagbag.dags["flights_score"]
    wait, score = dag.topological_sort()
    assert (wait.task_id, score.task_id) == ("wait_for_flights_prepare", "score")
    assert (wait.external_dag_id, wait.external_task_ids) == ("flights_prepare", ["featurize"])


# Airflow runs the tasks inside this process: its own libraries' warnings are not ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.end_to_end
def test_the_dags_take_a_slice_of_flights_from_landing_to_predictions(dagbag, landed):
    for dag_id in ("flights_prepare", "flights_train", "flights_score", "flights_monitor"):
        run = dagbag.dags[dag_id].test(logical_date=DAY)
        assert run.state == "success", f"{dag_id} ended as {run.state}"

    lake = landed.parent / "lake"
    command = [ROOT / ".venv" / "bin" / "tidemill", "summary", "flights", "--json"]
    command += ["--env", ENV, "--lake", lake]
    summary = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    )
    rows = {fact["table"]: fact["num_rows"] for fact in summary["tables"]}
    delivered = landed / "schedules" / f"{DAY:%Y-%m-%d}.csv"
    flights_of_the_day = len(delivered.read_text().splitlines()) - 1
    # The training made gold whole; score followed the logical date and gave each flight one row.
    assert rows["gold.flights"] > 10 * flights_of_the_day
    assert rows["predictions.flights_late"] == flights_of_the_day
    assert summary["report"].endswith(f"{DAY:%Y-%m-%d}.html")
