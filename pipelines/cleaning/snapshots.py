"""Whether a full snapshot can be trusted to name all keys there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.batch import Batch, snapshot_rows
from pipelines.lake.read import table_exists
from pipelines.lake.tables import ledger

if TYPE_CHECKING:
    from pipelines.run import Run


def gap_in_snapshot(run: Run, batch: Batch) -> str | None:
    """Say why the newest snapshot can't be trusted to name all keys; None where it can."""
    assert batch.snapshot is not None
    at, file = batch.snapshot
    has_no_key = F.lit(False)
    for name in batch.entity.key:
        has_no_key = has_no_key | F.col(f"`{name}`").isNull()
    if not snapshot_rows(batch).where(has_no_key).isEmpty():
        return f"the snapshot {file} holds rows without a key"
    files = ledger(batch.entity.source)
    if not table_exists(run.spark, run.lake, files):
        return None
    entries = run.spark.read.format("delta").load(run.lake.path(files))
    bad = entries.where(
        (F.col("path") == file) & (F.unix_micros("modified_at") == at) & (F.col("malformed") > 0)
    )
    return None if bad.isEmpty() else f"the snapshot {file} holds malformed records"
