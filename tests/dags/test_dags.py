"""The DAGs in Airflow: every one loads, and together they take a slice of flights from landing to
predictions with real Spark jobs."""

import datetime as dt
import json
import shutil
import subprocess
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from tests.dags.conftest import ENV, ROOT

pytestmark = pytest.mark.airflow
NEW_YORK = ZoneInfo("America/New_York")
DAY = dt.date(2013, 1, 16)


def test_every_dag_loads_without_an_error(dagbag):
    assert dagbag.import_errors == {}
    assert set(dagbag.dag_ids) >= {
        "flights_prepare",
        "flights_train",
        "flights_score",
        "flights_monitor",
    }


def test_the_trigger_form_asks_for_a_day_of_the_pipelines_zone(dagbag):
    for dag_id in ("flights_prepare", "flights_score", "flights_monitor"):
        date = dagbag.dags[dag_id].params.get_param("date")
        assert (date.value, date.schema["format"]) == (None, "date")
        assert "America/New_York" in date.description
    assert "date" not in dagbag.dags["flights_train"].params


def test_tasks_are_spark_jobs_of_the_project_in_the_order_of_the_stages(dagbag):
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

    dag = dagbag.dags["flights_prepare"]
    assert [task.task_id for task in dag.topological_sort()] == ["ingest", "clean", "featurize"]
    for task in dag.tasks:
        assert isinstance(task, SparkSubmitOperator)
        assert task.application == str(ROOT / "spark_jobs" / "tidemill.py")
        assert task.application_args[:2] == [task.task_id, "flights"]


def test_scoring_waits_for_the_features_of_the_same_day(dagbag):
    dag = dagbag.dags["flights_score"]
    wait, score = dag.topological_sort()
    assert (wait.task_id, score.task_id) == ("wait_for_flights_prepare", "score")
    made = dagbag.dags["flights_prepare"].get_task("featurize")
    assert made.outlets == wait.inlets == [wait.asset]
    assert wait.day == made.day == "{{ local_day(dag_run, params) }}"


def test_a_schedule_covers_its_first_and_its_last_day_and_starts_when_a_day_is_over(dagbag):
    from airflow.sdk.exceptions import AirflowSkipException
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    dag = dagbag.dags["flights_prepare"]
    timetable = coerce_to_core_timetable(dag.timetable)
    info, days = None, []
    restriction = TimeRestriction(dag.start_date, dag.end_date, catchup=True)
    while info := timetable.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction):
        days.append(info.partition_key)
        ended = dt.datetime.fromisoformat(info.partition_key) + dt.timedelta(days=1)
        assert info.run_after == ended.replace(tzinfo=NEW_YORK)
    assert (days[1], days[-1], len(days)) == ("2013-01-01", "2013-12-31", 366)
    # The first run, of the day before, is skipped.
    with pytest.raises(AirflowSkipException, match=r"2012-12-31 lies before .* 2013-01-01"):
        local_day(dag, partition_key=days[0], run_type="scheduled")
    assert local_day(dag, partition_key=days[0], run_type="backfill") == "2012-12-31"


def test_a_schedule_with_a_time_of_day_waits_for_it_and_a_backfill_does_not(airflow_home):
    from pipelines.config.load import load_pipeline
    from pipelines.orchestration.airflow.dags import make_dag
    from pipelines.orchestration.describe import describe

    changed = ["schedule.score=30 3 * * *", "schedule.prepare=30 3 * * *"]
    score = make_dag(describe(load_pipeline("flights", overrides=changed, root=ROOT))[2], ROOT)
    waits = [task.task_id for task in score.topological_sort()]
    assert waits == ["wait_until_03_30", "wait_for_flights_prepare", "score"]
    start = score.user_defined_macros["start"]
    # The night of a clock change: half past three comes two and a half hours after midnight.
    midnight = dt.datetime(2013, 3, 10, 5, tzinfo=dt.UTC)
    run = SimpleNamespace(run_after=midnight, run_type="scheduled")
    assert dt.datetime.fromisoformat(start(run)) == dt.datetime(2013, 3, 10, 7, 30, tzinfo=dt.UTC)
    run.run_type = "backfill"
    assert dt.datetime.fromisoformat(start(run)) == midnight


def local_day(dag, **run):
    run = SimpleNamespace(**{"partition_key": None, "logical_date": None, **run})
    return dag.user_defined_macros["local_day"](run, {"date": None})


def test_a_cron_expression_that_is_none_breaks_only_its_own_pipeline(airflow_home, tmp_path):
    from pipelines.errors import SettingsError
    from pipelines.orchestration.airflow.dags import dags_of, refuse_broken

    flights = (ROOT / "conf" / "flights" / "pipeline.yml").read_text()
    files = {
        "flights": flights,
        "clockless": flights.replace("name: flights", "name: clockless", 1).replace(
            'prepare: "@daily"', "prepare: every noon"
        ),
        "broken": "name: broken\nsorces: {}\n",
        "garbled": "name: [garbled\n",
    }
    for name, text in files.items():
        shutil.copytree(ROOT / "conf" / "flights", tmp_path / "conf" / name)
        (tmp_path / "conf" / name / "pipeline.yml").write_text(text)
    dags, broken = dags_of(tmp_path)
    assert {dag_id.rpartition("_")[0] for dag_id in dags} == {"flights"}
    assert sorted(broken) == ["broken", "clockless", "garbled"]
    with pytest.raises(SettingsError) as refused:
        refuse_broken(tmp_path)
    said = str(refused.value)
    assert "no DAGs for broken, clockless, garbled, those of the other pipelines are there" in said
    assert "conf/broken/pipeline.yml:2: sorces" in said
    assert "every noon" in said


# Airflow runs the tasks inside this process: its own libraries' warnings are not ours to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.end_to_end
def test_the_dags_take_a_slice_of_flights_from_landing_to_predictions(dagbag, landed):
    for dag_id in ("flights_prepare", "flights_train", "flights_score", "flights_monitor"):
        run = dagbag.dags[dag_id].test(logical_date=None, run_conf={"date": f"{DAY}"})
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
