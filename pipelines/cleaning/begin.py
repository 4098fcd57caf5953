"""What a run of clean finds when it begins: bronze, or why there is nothing to clean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipelines.cleaning.aside import all_rejected
from pipelines.cleaning.batch import Bronze
from pipelines.errors import TableNotFound, UsageError, nearest
from pipelines.lake.changes import table_id
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.tables import bronze as bronze_table
from pipelines.run import Resolved, Run, resolve_place


def nothing_to_clean(run: Run) -> TableNotFound:
    """Return the error of a run without any bronze: what lacks, and what to do."""
    if aside := all_rejected(run):
        return TableNotFound(
            f"there is nothing to clean: `ingest` has put aside all that it read, {aside}. "
            f"Deliver files that can be read, or correct `ingest.sources`; then run `tidemill "
            f"ingest {run.pipeline.name}` again."
        )
    landing = resolve_place(run.pipeline.root, run.pipeline.landing)
    return TableNotFound(
        f"the lake {run.lake.root} holds no bronze table of {run.pipeline.name}: no file has "
        f"been read yet. Put files where `landing` and each source's `path` say "
        f"({', '.join(_places(run, landing))}), then run `tidemill ingest {run.pipeline.name}`."
    )


def _places(run: Run, landing: str) -> list[str]:
    """Return where the files of the first sources are looked for."""
    paths = [one.path for one in run.pipeline.ingest.sources.values() if one.jdbc is None]
    return [f"{landing}/{path}" for path in paths[:3]]


def check_again(run: Run) -> None:
    """Raise UsageError where a run is to make an entity anew that there is not."""
    known = list(run.pipeline.clean.entities)
    for name in run.again:
        if name not in known:
            raise UsageError(
                f"--entity {name}: {run.pipeline.name} has no such entity; expected one of "
                f"{', '.join(known)}.{nearest(name, known)}"
            )


@dataclass(frozen=True)
class FoundBronze(Resolved):
    """Version and id of the bronze tables by source; None for those that are not there."""

    bronze: Mapping[str, Bronze | None]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the record of what was stored."""
        return cls({s: Bronze(**found) if found else None for s, found in plain["bronze"].items()})


def look(run: Run) -> FoundBronze:
    """Find the bronze tables that the entities are made of, as they are now."""
    spark, lake = run.spark, run.lake
    found: dict[str, Bronze | None] = {}
    for entity in run.pipeline.clean.entities.values():
        table = bronze_table(entity.source)
        found[entity.source] = None
        if table_exists(spark, lake, table):
            version = latest_version(spark, lake, table)
            found[entity.source] = Bronze(version, table_id(spark, lake, table))
    return FoundBronze(found)
