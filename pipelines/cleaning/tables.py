"""An entity's tables: made before its source has delivered, and of the columns that they have."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pipelines.cleaning.batch import no_rows
from pipelines.cleaning.rows import quarantine_rows, silver_rows
from pipelines.cleaning.treat import TOMBSTONE, treat
from pipelines.lake.tables import quarantine
from pipelines.lake.write import create_if_absent

if TYPE_CHECKING:
    from pipelines.run import Run


def create_tables(run: Run, name: str) -> None:
    """Make the tables of an entity whose source has not delivered yet, so that others can read.

    The quarantine table of a Parquet source waits for the first file: its types are the file's.
    """
    at = dt.datetime.now(dt.UTC)
    entity = run.pipeline.clean.entities[name]
    source = run.pipeline.ingest.sources[entity.source]
    zone = run.pipeline.zone_of(entity.source)
    rows = treat(no_rows(run, source), name, entity, {}, zone=zone)
    good = silver_rows(rows, entity, at).drop(TOMBSTONE).schema
    silver = run.tables.silver(name)
    create_if_absent(run.spark, run.lake, silver, good, cluster_by=entity.cluster_by)
    if source.format != "parquet":
        bad = quarantine_rows(rows, at).schema
        create_if_absent(run.spark, run.lake, quarantine(name), bad)
