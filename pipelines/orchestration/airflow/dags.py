"""Airflow's DAGs for the pipelines below a project's root."""

from __future__ import annotations

import datetime as dt
import os
import shlex
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.providers.standard.sensors.date_time import DateTimeSensor
from airflow.sdk import DAG, Asset, CronPartitionTimetable, Param, PartitionedAtRuntime, chain
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.timetables.trigger import CronPartitionTimetable as CoreTimetable

from pipelines.config.load import load_pipeline, pipeline_names
from pipelines.errors import SettingsError, TidemillError
from pipelines.orchestration.airflow.submit import StageOperator
from pipelines.orchestration.airflow.wait import DaySensor
from pipelines.orchestration.day import day_of_run
from pipelines.orchestration.describe import (
    DAY_MACRO,
    DagDescription,
    TaskDescription,
    day_template,
    describe,
)

_DAY = dt.timedelta(days=1)


def dags_of(root: Path) -> tuple[dict[str, DAG], dict[str, str]]:
    """Return the DAGs of all pipelines with a `schedule`, and what is wrong with the others.

    The second answer goes from a pipeline's name to the reason why it has no DAGs.
    `TIDEMILL_ARGUMENTS` (shell words) is given to every job, `TIDEMILL_PROFILE` names the Spark
    profile in `conf/spark/` (`local` by default).
    """
    arguments = shlex.split(os.environ.get("TIDEMILL_ARGUMENTS", ""))
    dags: dict[str, DAG] = {}
    broken: dict[str, str] = {}
    for name in pipeline_names(root):
        try:
            pipeline = load_pipeline(name, root=root)
            if pipeline.schedule is None:
                continue
            made = [make_dag(one, root) for one in describe(pipeline, arguments)]
        except Exception as error:
            kind = "" if isinstance(error, TidemillError) else f"{type(error).__name__}: "
            broken[name] = f"{kind}{error}"
        else:
            dags |= {dag.dag_id: dag for dag in made}
    return dags, broken


def refuse_broken(root: Path) -> None:
    """Raise SettingsError that names every pipeline without DAGs, and why."""
    _, broken = dags_of(root)
    if broken:
        said = "\n".join(f"- {name}: {why}" for name, why in broken.items())
        raise SettingsError(
            f"no DAGs for {', '.join(broken)}, those of the other pipelines are there:\n{said}\n"
            "Mend that; `tidemill validate NAME` says whether a pipeline can be read."
        )


def make_dag(described: DagDescription, root: Path) -> DAG:
    """Return Airflow's DAG for a description: one task per stage, after what holds a run back."""
    first, last = _bounds(described)
    dag = DAG(
        described.dag_id,
        description=described.description,
        schedule=_timetable(described),
        start_date=first,
        end_date=last,
        catchup=False,
        # Runs of one DAG write the same tables. This does not bind a backfill: see `_stage`.
        max_active_runs=1,
        default_args={
            "retries": described.retries,
            "retry_delay": dt.timedelta(seconds=described.retry_delay_seconds),
        },
        params={"date": _date_param(described)} if described.is_dated else None,
        user_defined_macros={DAY_MACRO: _day_macro(described), "start": _start_macro(described)},
        tags=["tidemill"],
    )
    chain(
        *_waits(described, dag), *(_stage(described, task, root, dag) for task in described.tasks)
    )
    return dag


def _waits(described: DagDescription, dag: DAG) -> list[Any]:
    """Return the tasks that hold a run back: until its time of day, until its day is prepared."""
    waits: list[Any] = []
    if described.starts_at != dt.time():
        until = DateTimeSensor(
            task_id=f"wait_until_{described.starts_at:%H_%M}",
            target_time="{{ start(dag_run) }}",
            mode="reschedule",
            poke_interval=60,
            dag=dag,
        )
        waits.append(until)
    if described.waits_for:
        day = DaySensor(
            task_id=f"wait_for_{described.waits_for}",
            asset=_asset(described.waits_for),
            day=day_template(),
            mode="reschedule",
            poke_interval=60,
            timeout=12 * 3600,
            dag=dag,
        )
        waits.append(day)
    return waits


def _stage(described: DagDescription, task: TaskDescription, root: Path, dag: DAG) -> StageOperator:
    is_last = task == described.tasks[-1]
    return StageOperator(
        task_id=task.task_id,
        application=str(root / task.application),
        application_args=list(task.arguments),
        properties_file=str(_profile(root)),
        conn_id=described.spark_conn_id,
        name=f"{described.dag_id}.{task.task_id}",
        day=day_template() if described.is_dated else None,
        outlets=[_asset(described.dag_id)] if is_last and described.is_dated else [],
        # One at a time whatever asks for it: a backfill starts ten runs side by side.
        max_active_tis_per_dag=1,
        dag=dag,
    )


def _profile(root: Path) -> Path:
    return root / "conf" / "spark" / f"{os.environ.get('TIDEMILL_PROFILE', 'local')}.conf"


def _asset(dag_id: str) -> Asset:
    """Return what a DAG's last task updates: the days that it has done."""
    return Asset(dag_id)


def _timetable(described: DagDescription) -> Any:
    """Return a timetable whose runs are named by the local day they are for.

    A tick of the cron expression starts the run for the day of the tick before. Airflow reads the
    bounds of a backfill as days of this timetable's zone. (A data interval would begin at another
    moment than the UTC midnight that Airflow makes of a day, so a backfill would lose a day.)
    """
    if described.schedule is None:
        return PartitionedAtRuntime() if described.is_dated else None
    zone = described.timezone
    # Airflow looks at the expression only when it has the whole file, which would fail with it.
    try:
        CoreTimetable(described.schedule, timezone=zone).validate()
    except Exception as error:
        raise SettingsError(
            f"`schedule` of {described.dag_id}: '{described.schedule}' is no cron expression: "
            f"{error} Expected one such as `30 3 * * *`, a preset such as `@daily`, or null."
        ) from error
    return CronPartitionTimetable(
        described.schedule, timezone=zone, run_offset=-1, key_format="%Y-%m-%d"
    )


def _bounds(described: DagDescription) -> tuple[dt.datetime, dt.datetime | None]:
    """Return between which moments runs start: a day's run starts when the day has ended.

    A run by hand may have the first day's midnight as its logical date, be it local or of UTC. (One
    of the schedule that starts then, for the day before, is skipped.)
    """

    def midnight(day: dt.date, zone: str) -> pendulum.DateTime:
        return pendulum.datetime(day.year, day.month, day.day, tz=zone)

    start, end = described.start_date, described.end_date
    first = min(midnight(start, described.timezone), midnight(start, "UTC"))
    if end is None:
        return first, None
    return first, midnight(end + 2 * _DAY, described.timezone) - dt.timedelta(seconds=1)


def _date_param(described: DagDescription) -> Param:
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Day",
        description=(
            f"The day to work on, in {described.timezone}. Runs by schedule and backfills have "
            "theirs already."
        ),
    )


def _start_macro(described: DagDescription) -> Any:
    """Return the function that says when a run begins to work: only those of a schedule wait."""

    def start(dag_run: Any) -> str:
        if dag_run.run_type != "scheduled":
            return str(dag_run.run_after.isoformat())
        local = dag_run.run_after.astimezone(ZoneInfo(described.timezone))
        return dt.datetime.combine(local, described.starts_at, local.tzinfo).isoformat()

    return start


def _day_macro(described: DagDescription) -> Any:
    """Return the function that templates get a run's day from."""

    def local_day(dag_run: Any, params: Any, days_before: int = 0) -> str:
        try:
            day = day_of_run(
                described.timezone,
                date=params.get("date"),
                partition_key=dag_run.partition_key,
                logical_date=dag_run.logical_date,
            )
        except TidemillError as error:
            raise AirflowFailException(str(error)) from None
        if dag_run.run_type == "scheduled" and day < described.start_date:
            raise AirflowSkipException(
                f"{day} lies before the first day of the schedule, {described.start_date}"
            )
        return (day - days_before * _DAY).isoformat()

    return local_day
