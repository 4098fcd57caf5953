"""A lake opened at the versions that a run resolved: it reads these, and nothing newer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import NotResolved
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import read_at
from pipelines.lake.snapshot import PartitionFilter, Snapshot, take_snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class OpenedLake:
    """Session, lake, and the version of each table that may be read."""

    spark: SparkSession
    lake: Lake
    versions: Mapping[str, int]

    def __contains__(self, table: Table | str) -> bool:
        return str(table) in self.versions

    def version(self, table: Table | str) -> int:
        """Return the version of a table; raise NotResolved for one that was not looked up."""
        if table not in self:
            raise NotResolved(
                f"{table} is read, but no version of it was resolved when the stage began; those "
                f"of {', '.join(sorted(self.versions)) or 'no table'} were. A stage reads nothing "
                "that is newest at some moment of its work: resolve it at the start, too."
            )
        return self.versions[str(table)]

    def named(self, table: Table | str) -> str:
        """Return a table's name with its version, as `gold.flights@3`."""
        return f"{table}@{self.version(table)}"

    def read(self, table: Table | str) -> DataFrame:
        """Return a table's rows. Raises NotResolved, VersionNotFound where it is gone."""
        return read_at(self.spark, self.lake, table, self.version(table))

    def snapshot(self, table: Table | str, where: PartitionFilter | None = None) -> Snapshot:
        """Return a table's live files, of some partitions if asked for. Raises as `read` does."""
        return take_snapshot(self.lake.path(table), self.version(table), where)
