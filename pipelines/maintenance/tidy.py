"""Brings a pipeline's tables to their settings: retention, clustering, file sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.config import Pipeline
from pipelines.config.maintenance import Maintenance
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.commit import commit
from pipelines.lake.session import session_settings
from pipelines.lake.snapshot import POSITION
from pipelines.lake.tables import PipelineTables
from pipelines.maintenance.vacuum import tables_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FILE_SIZES = [f"spark.databricks.delta.optimize.{one}FileSize" for one in ("min", "max")]


@dataclass(frozen=True)
class Tidied:
    """What was done to a table: properties and clustering that changed, files put together."""

    table: str
    changed: Mapping[str, str] = field(default_factory=dict)
    files_before: int = 0
    files_after: int = 0

    def line(self) -> str:
        """Return what to say of it; nothing where nothing was done."""
        parts = [f"{key} is now {value}" for key, value in self.changed.items()]
        if self.files_before:
            parts.append(f"{self.files_before:,} files put together as {self.files_after:,}")
        return f"{self.table}: {', '.join(parts)}" if parts else ""


def tidy(spark: SparkSession, lake: Lake, pipeline: Pipeline) -> list[Tidied]:
    """Tidy all tables of a pipeline that are in the lake; a second call changes nothing."""
    return [_tidy(spark, lake, name, pipeline) for name in owned_tables(spark, lake, pipeline)]


def owned_tables(spark: SparkSession, lake: Lake, pipeline: Pipeline) -> list[str]:
    """Return the tables of a lake that a pipeline writes: other pipelines may share the lake."""
    owned = {str(table) for table in PipelineTables(pipeline).every}
    return [name for name in tables_of(spark, lake) if name in owned]


def _tidy(spark: SparkSession, lake: Lake, name: str, pipeline: Pipeline) -> Tidied:
    from delta.tables import DeltaTable

    place, settings = lake.path(name), pipeline.maintenance
    detail: Any = DeltaTable.forPath(spark, place).detail().head()
    changed = {
        key: value
        for key, value in properties(name, settings).items()
        if detail["properties"].get(key) != value
    }
    if changed:
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in changed.items())
        statement = f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES ({pairs})"
        commit(spark, lake, name, lambda: spark.sql(statement))
    table = Table.parse(name)
    entity = pipeline.clean.entities.get(table.name) if table.is_merged else None
    if entity and list(entity.cluster_by) != list(detail["clusteringColumns"]):
        columns = ", ".join(f"`{column}`" for column in entity.cluster_by)
        by = f"({columns})" if columns else "NONE"
        commit(spark, lake, name, lambda: spark.sql(f"ALTER TABLE delta.`{place}` CLUSTER BY {by}"))
        changed["clustering"] = ", ".join(entity.cluster_by) or "none"
    is_laid_out = POSITION in spark.read.format("delta").load(place).columns
    if not settings.compact or is_laid_out:
        return Tidied(name, changed)
    sizes = dict.fromkeys(_FILE_SIZES, str(settings.file_mb * 1_000_000))
    with session_settings(spark, sizes):
        metrics = commit(spark, lake, name, lambda: _optimize(spark, place))
    return Tidied(name, changed, metrics["numFilesRemoved"], metrics["numFilesAdded"])


def properties(name: str, settings: Maintenance) -> dict[str, str]:
    """Return the properties that a table shall have."""
    wanted = {
        "delta.deletedFileRetentionDuration": _interval(settings.deleted_files_days),
        "delta.logRetentionDuration": _interval(settings.log_days),
    }
    if Table.parse(name).is_merged:
        # A changed row marks the old one, in place of its whole file being written again.
        wanted["delta.enableDeletionVectors"] = "true"
    return wanted


def _interval(days: float) -> str:
    whole = int(days)
    return f"interval {whole} days" if whole == days else f"interval {int(days * 86_400)} seconds"


def _optimize(spark: SparkSession, place: str) -> Any:
    from delta.tables import DeltaTable

    row = DeltaTable.forPath(spark, place).optimize().executeCompaction().head()
    assert row is not None  # it answers with one row of numbers
    return row["metrics"]
