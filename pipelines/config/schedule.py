"""Settings of the DAGs made from a pipeline."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from pipelines.settings import Settings


class Schedule(Settings):
    """When each DAG runs: a cron expression, an Airflow preset (`@daily`), or null for by hand."""

    start_date: dt.date
    end_date: dt.date | None = None
    """The last day that gets runs by schedule, where the data ends; runs by hand always work."""
    prepare: str | None = "@daily"
    train: str | None = None
    score: str | None = "@daily"
    monitor: str | None = "@daily"
    retries: int = Field(1, ge=0)
    retry_delay_seconds: float = Field(60.0, ge=0)
    spark_conn_id: str = "spark_default"
