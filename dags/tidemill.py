"""The DAGs of every pipeline in `conf/` that has a `schedule` (Airflow finds this file by itself).

What the DAGs are is decided in `pipelines.orchestration`. A pipeline that can't be read has none;
`tidemill_broken.py` says so, and why, where Airflow shows errors of DAG files.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.orchestration.airflow.dags import dags_of

globals().update(dags_of(Path(__file__).resolve().parents[1])[0])
