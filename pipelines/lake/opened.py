"""A lake opened at the versions that a run resolved: it reads these, and nothing newer.

What the run itself writes is another matter: there, newest is what it has left so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import NotResolved
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import latest_version, read_at, table_exists
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


@dataclass(frozen=True)
class Standing:
    """The tables that a stage writes, as they stand: also in a retry, newest is right for them.

    `writes` names them; None where nobody has said, as for a run that no runner began.
    """

    spark: SparkSession
    lake: Lake
    writes: Sequence[Table] | None = None

    def version(self, table: Table | str) -> int | None:
        """Return the newest version of a table; None where it is not there yet.

        Raises NotResolved for a table that the stage does not write.
        """
        if self.writes is not None and str(table) not in map(str, self.writes):
            raise NotResolved(
                f"{table} is asked for as it stands, but the stage does not write it; it writes "
                f"{', '.join(map(str, self.writes)) or 'no table'}. Name it in the stage's "
                "`writes_tables`, or resolve its version at the start."
            )
        if not table_exists(self.spark, self.lake, table):
            return None
        return latest_version(self.spark, self.lake, table)

    def versions(self, *tables: Table | str) -> dict[str, int]:
        """Return the newest version of each table that is there. Raises as `version` does."""
        found = {str(table): self.version(table) for table in tables}
        return {name: version for name, version in found.items() if version is not None}

    def read(self, table: Table | str, session: SparkSession | None = None) -> DataFrame | None:
        """Return a table's rows, through another session if given; None where it is not there."""
        version = self.version(table)
        if version is None:
            return None
        return read_at(session or self.spark, self.lake, table, version)
