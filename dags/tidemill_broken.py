"""Fails with the names of the pipelines whose DAGs can't be made, and why; the others have theirs.

Airflow shows an error of a DAG file and takes the file's DAGs away, so it has a file of its own.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.orchestration.airflow.dags import refuse_broken

refuse_broken(Path(__file__).resolve().parents[1])
