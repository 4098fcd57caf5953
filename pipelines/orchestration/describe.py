"""What a pipeline's DAGs are made of, as plain data.

`dags/` hands these descriptions to Airflow; nothing here knows Airflow's classes. Arguments may
hold Airflow's templates (Jinja), which Airflow renders for each run.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config import Pipeline
from pipelines.config.schedule import Schedule
from pipelines.errors import SettingsError
from pipelines.stages.catalog import STAGES
from pipelines.stages.stage import DAG_KINDS, WAITS_FOR, DagKind

JOB = "spark_jobs/tidemill.py"
"""Path of the Spark job below the project's root. Its first argument names the stage."""

# A run id of Airflow holds `:` and `+`, which a Hadoop path can't. A retry goes on with what its
# run resolved; after a clear, asked for when data or settings were mended, it resolves anew.
RUN_ID = (
    "{{ dag.dag_id }}-{{ run_id | replace(':', '-') | replace('+', '-') }}"
    "{{ '-clear%d' % dag_run.clear_number if dag_run.clear_number else '' }}"
)
DAY_MACRO = "local_day"
"""Name of the function in templates that returns a run's day: `local_day(dag_run, params)`."""


@dataclass(frozen=True)
class TaskDescription:
    """One task: a stage as a Spark job, with the job's arguments, after the task `upstream`."""

    task_id: str
    arguments: tuple[str, ...]
    upstream: str | None = None
    application: str = JOB


@dataclass(frozen=True)
class DagDescription:
    """One DAG. A run of it covers one local day; it starts when that day has ended."""

    dag_id: str
    pipeline: str
    description: str
    schedule: str | None
    start_date: dt.date
    end_date: dt.date | None
    """The last day that is scheduled, if there is one."""
    timezone: str
    starts_at: dt.time
    """When on the days of the schedule a run begins to work."""
    tasks: tuple[TaskDescription, ...]
    retries: int
    retry_delay_seconds: float
    spark_conn_id: str
    waits_for: str | None = None
    """Id of the DAG whose run for the same day must have succeeded first."""
    waits_for_task: str | None = None
    """The last task of that DAG."""

    @property
    def is_dated(self) -> bool:
        """Whether a run of it is for one day."""
        return self.waits_for is not None or any("--date" in one.arguments for one in self.tasks)


def day_template(days_before: int = 0) -> str:
    """Return the template of a run's local day, or a day before it, as `YYYY-MM-DD`."""
    earlier = f", {days_before}" if days_before else ""
    return f"{{{{ {DAY_MACRO}(dag_run, params{earlier}) }}}}"


def days_and_time(cron: str | None) -> tuple[str | None, dt.time]:
    """Cut a cron expression into its days, at midnight, and the one time of day that it names.

    The bounds of a backfill are midnights: a schedule of 03:30 would lose their last day. An
    expression of another form (a preset, several times a day) stays as it is.
    """
    found = re.fullmatch(r"(\d{1,2})\s+(\d{1,2})\s+(\S+\s+\S+\s+\S+)", (cron or "").strip())
    try:
        return (
            (f"0 0 {found[3]}", dt.time(int(found[2]), int(found[1])))
            if found
            else (cron, dt.time())
        )
    except ValueError:  # no time: Airflow says so when it reads the expression
        return cron, dt.time()


def _tasks(pipeline: Pipeline, kind: DagKind, extra: Sequence[str]) -> tuple[TaskDescription, ...]:
    tasks: list[TaskDescription] = []
    for stage in STAGES.of_dag(kind):
        arguments = [stage.name, pipeline.name, "--run-id", RUN_ID]
        place = next(one for one in stage.dags if one.dag == kind)
        if place.is_dated:
            arguments += ["--date", day_template()]
        days_before = pipeline.setting(place.since) if place.since else 0
        if days_before:
            # Labels of the last days have arrived since; their rows are made again with them.
            arguments += ["--since", day_template(days_before)]
        upstream = tasks[-1].task_id if tasks else None
        tasks.append(TaskDescription(stage.name, (*arguments, *extra), upstream))
    return tuple(tasks)


def _waits_for(schedule: Schedule, kind: DagKind) -> DagKind | None:
    """Name the DAG that `kind` waits for: only those on one clock have runs for the same days."""
    before = WAITS_FOR.get(kind)
    own = getattr(schedule, kind)
    same_clock = before is not None and own is not None and own == getattr(schedule, before)
    return before if same_clock else None


def describe(pipeline: Pipeline, extra_arguments: Sequence[str] = ()) -> tuple[DagDescription, ...]:
    """Return the pipeline's DAGs: prepare, train, score, monitor.

    `extra_arguments` are given to every job (`--env`, `--lake`, `--set`). Raises SettingsError
    where the pipeline has no `schedule`.
    """
    schedule = pipeline.schedule
    if schedule is None:
        raise SettingsError(
            f"pipeline '{pipeline.name}' has no `schedule`, so no DAGs can be made from it. "
            "Add `schedule: {start_date: YYYY-MM-DD}` to its pipeline.yml."
        )
    dags = []
    for kind in DAG_KINDS:
        before, stages = _waits_for(schedule, kind), STAGES.of_dag(kind)
        days, starts_at = getattr(schedule, kind), dt.time()
        named = ", ".join(one.name for one in stages)
        if any(one.is_dated for stage in stages for one in stage.dags if one.dag == kind):
            days, starts_at = days_and_time(days)
        dags.append(
            DagDescription(
                dag_id=f"{pipeline.name}_{kind}",
                pipeline=pipeline.name,
                description=f"{pipeline.description or pipeline.name}: {named}",
                schedule=days,
                start_date=schedule.start_date,
                end_date=schedule.end_date,
                timezone=pipeline.timezone,
                starts_at=starts_at,
                tasks=_tasks(pipeline, kind, extra_arguments),
                retries=schedule.retries,
                retry_delay_seconds=schedule.retry_delay_seconds,
                spark_conn_id=schedule.spark_conn_id,
                waits_for=f"{pipeline.name}_{before}" if before else None,
                waits_for_task=STAGES.of_dag(before)[-1].name if before else None,
            )
        )
    return tuple(dags)
