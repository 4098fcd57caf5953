"""A pipeline's DAGs, as plain data."""

import datetime as dt
import subprocess
import sys

import pytest
from jinja2 import Template

from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError
from pipelines.orchestration.describe import days_and_time, describe


@pytest.fixture(scope="module")
def dags():
    return {dag.dag_id: dag for dag in describe(load_pipeline("flights"))}


def test_a_pipeline_has_a_dag_for_preparing_training_scoring_and_monitoring(dags):
    assert list(dags) == ["flights_prepare", "flights_train", "flights_score", "flights_monitor"]
    assert dags["flights_prepare"].start_date == dt.date(2013, 1, 1)
    assert dags["flights_prepare"].end_date == dt.date(2013, 12, 31)
    assert dags["flights_train"].schedule is None


def test_tasks_of_a_dag_follow_each_other_in_the_order_of_the_stages(dags):
    chain = [(task.task_id, task.upstream) for task in dags["flights_prepare"].tasks]
    assert chain == [("ingest", None), ("clean", "ingest"), ("featurize", "clean")]
    assert dags["flights_train"].tasks[2].application == "spark_jobs/tidemill.py"
    assert dags["flights_train"].tasks[2].arguments[:2] == ("train", "flights")


def test_only_stages_that_follow_a_day_are_given_one(dags):
    dated = {
        (name, task.task_id)
        for name, dag in dags.items()
        for task in dag.tasks
        if "--date" in task.arguments
    }
    assert dated == {
        ("flights_prepare", "featurize"),
        ("flights_score", "score"),
        ("flights_monitor", "monitor"),
    }
    score = dags["flights_score"].tasks[0]
    assert score.arguments[-1] == "{{ local_day(dag_run, params) }}"
    assert [name for name, dag in dags.items() if not dag.is_dated] == ["flights_train"]


def test_the_run_id_is_that_of_a_retry_and_another_after_a_clear(dags):
    def run_id(clear_number):
        text = Template(dags["flights_score"].tasks[0].arguments[3]).render(
            dag={"dag_id": "flights_score"},
            run_id="backfill__2013-12-02T05:00:00+00:00",
            dag_run={"clear_number": clear_number},
        )
        return text.removeprefix("flights_score-backfill__2013-12-02T05-00-00-00-00")

    assert [run_id(number) for number in (None, 0, 1, 2)] == ["", "", "-clear1", "-clear2"]


def test_the_days_whose_labels_may_have_arrived_are_made_again(dags):
    featurize = dags["flights_prepare"].tasks[2]
    assert featurize.arguments[-2:] == ("--since", "{{ local_day(dag_run, params, 3) }}")


def test_a_training_featurizes_all_days_before_it_normalizes_them(dags):
    stages = [task.task_id for task in dags["flights_train"].tasks]
    assert stages == ["featurize", "normalize", "train", "promote"]


def test_a_dag_waits_for_the_one_before_only_where_both_run_on_the_same_clock(dags):
    assert dags["flights_score"].waits_for == "flights_prepare"
    assert dags["flights_score"].waits_for_task == "featurize"
    hourly = load_pipeline("flights", overrides=["schedule.prepare=0 6 * * *"])
    assert describe(hourly)[2].waits_for is None


@pytest.mark.parametrize(
    ("cron", "days", "time"),
    [
        ("30 3 * * *", "0 0 * * *", dt.time(3, 30)),
        ("5 23 * * 1-5", "0 0 * * 1-5", dt.time(23, 5)),
        ("@daily", "@daily", dt.time()),
        ("0 */6 * * *", "0 */6 * * *", dt.time()),
        ("0 99 * * *", "0 99 * * *", dt.time()),
        (None, None, dt.time()),
    ],
)
def test_a_schedule_is_cut_into_days_and_a_time_so_that_a_backfill_loses_no_day(cron, days, time):
    assert days_and_time(cron) == (days, time)


def test_extra_arguments_reach_every_job():
    for dag in describe(load_pipeline("flights"), ["--lake", "s3a://lake"]):
        assert all(task.arguments[-2:] == ("--lake", "s3a://lake") for task in dag.tasks)


def test_a_pipeline_without_a_schedule_is_refused_with_the_line_to_add():
    pipeline = load_pipeline("flights").model_copy(update={"schedule": None})
    with pytest.raises(SettingsError, match=r"schedule: \{start_date: YYYY-MM-DD\}"):
        describe(pipeline)


def test_describing_dags_imports_neither_spark_nor_tensorflow_nor_airflow():
    code = (
        "import sys, pipelines.orchestration.describe, pipelines.config.load;"
        "print(sorted({'pyspark','tensorflow','airflow','pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
