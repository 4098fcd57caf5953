"""The DAGs of every pipeline in `conf/` that has a `schedule`.

What the DAGs are is decided in `pipelines.orchestration`; this file hands it to Airflow.
`TIDEMILL_ARGUMENTS` (shell words) is given to every job, `TIDEMILL_PROFILE` names the Spark
profile in `conf/spark/` (`local` by default).
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
from pathlib import Path

import pendulum
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from pipelines.config.load import load_pipeline
from pipelines.orchestration.describe import DagDescription, describe

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "conf" / "spark" / f"{os.environ.get('TIDEMILL_PROFILE', 'local')}.conf"


def make_dag(described: DagDescription) -> DAG:
    """Return Airflow's DAG for a description: one SparkSubmitOperator per task."""

    def midnight(day: dt.date) -> pendulum.DateTime:
        return pendulum.datetime(day.year, day.month, day.day, tz=described.timezone)

    schedule = described.schedule and CronDataIntervalTimetable(
        described.schedule, timezone=described.timezone
    )
    dag = DAG(
        described.dag_id,
        description=described.description,
        schedule=schedule,
        start_date=midnight(described.start_date),
        end_date=described.end_date and midnight(described.end_date),
        catchup=False,
        # Runs of one DAG write the same tables; one at a time keeps their order.
        max_active_runs=1,
        default_args={
            "retries": described.retries,
            "retry_delay": dt.timedelta(seconds=described.retry_delay_seconds),
        },
        tags=["tidemill"],
    )
    tasks = {
        task.task_id: SparkSubmitOperator(
            task_id=task.task_id,
            application=str(ROOT / task.application),
            application_args=list(task.arguments),
            properties_file=str(PROFILE),
            conn_id=described.spark_conn_id,
            name=f"{described.dag_id}.{task.task_id}",
            dag=dag,
        )
        for task in described.tasks
    }
    for task in described.tasks:
        if task.upstream:
            tasks[task.upstream] >> tasks[task.task_id]
    if described.waits_for:
        first = described.tasks[0].task_id
        wait = ExternalTaskSensor(
            task_id=f"wait_for_{described.waits_for}",
            external_dag_id=described.waits_for,
            external_task_id=described.waits_for_task,
            mode="reschedule",
            poke_interval=60,
            timeout=12 * 3600,
            dag=dag,
        )
        wait >> tasks[first]
    return dag


for file in sorted((ROOT / "conf").glob("*/pipeline.yml")):
    pipeline = load_pipeline(file.parent.name, root=ROOT)
    if pipeline.schedule is None:
        continue
    for description in describe(pipeline, shlex.split(os.environ.get("TIDEMILL_ARGUMENTS", ""))):
        globals()[description.dag_id] = make_dag(description)
