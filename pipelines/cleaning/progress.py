"""How far `clean` has come with an entity: read at its start, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.cleaning.duplicates import Snapshot
from pipelines.cleaning.fit import Fitted
from pipelines.lake import files
from pipelines.lake.catalog import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


OLDER_RELEASE = "unknown"
"""Stands for the settings of a release that did not keep them yet."""


@dataclass(frozen=True)
class Progress:
    """What was consumed: bronze up to and with `bronze_version`, full snapshots up to `snapshot`.

    `bronze_id` tells whether bronze is still the table that the version is of. `last` is what the
    last run that found new rows said of them: `run_id`, `counts`, `rules`. `newest` is the newest
    file consumed, by its delivery time; what comes later and is older than it is late.
    """

    bronze_version: int
    bronze_id: str | None = None
    snapshot: Snapshot | None = None
    last: Mapping[str, Any] = field(default_factory=dict)
    newest: Snapshot | None = None
    made_with: tuple[str, ...] = (OLDER_RELEASE,)
    """Signs of all settings that rows of silver and quarantine were made with."""

    @property
    def num_delivered(self) -> int | None:
        """Rows of the last delivery, without any that a person put back."""
        found = self.last.get("delivered", self.last.get("counts", {}).get("rows_in"))
        return None if found is None else int(found)


def read_progress(spark: SparkSession, lake: Lake, pipeline: str, entity: str) -> Progress | None:
    """Return how far an entity is; None where it was never cleaned."""
    found = _read(spark, lake.state(pipeline, "clean", entity))
    if found is None:
        return None
    snapshot, newest = found.get("snapshot"), found.get("newest")
    return Progress(
        bronze_version=found["bronze_version"],
        bronze_id=found.get("bronze_id"),
        snapshot=(int(snapshot[0]), str(snapshot[1])) if snapshot else None,
        last=found.get("last", {}),
        newest=(int(newest[0]), str(newest[1])) if newest else None,
        made_with=tuple(found.get("made_with", (OLDER_RELEASE,))),
    )


def write_progress(
    spark: SparkSession, lake: Lake, pipeline: str, entity: str, progress: Progress
) -> None:
    """Store how far an entity is."""
    place = lake.state(pipeline, "clean", entity)
    files.write_text(spark, place, json.dumps(asdict(progress), indent=1))


def read_fitted(spark: SparkSession, lake: Lake, pipeline: str, entity: str) -> dict[str, Fitted]:
    """Return the stored bounds of an entity's outliers."""
    found = _read(spark, lake.state(pipeline, "clean", f"{entity}.outliers")) or {}
    return {name: Fitted(**values) for name, values in found.items()}


def write_fitted(
    spark: SparkSession, lake: Lake, pipeline: str, entity: str, fitted: Mapping[str, Fitted]
) -> None:
    """Store the bounds of an entity's outliers."""
    content = {name: fit.to_dict() for name, fit in fitted.items()}
    place = lake.state(pipeline, "clean", f"{entity}.outliers")
    files.write_text(spark, place, json.dumps(content, indent=1))


def _read(spark: SparkSession, place: str) -> dict[str, Any] | None:
    without_it = "clean then reads the entity's bronze rows again, which changes no row of silver"
    return files.read_json(spark, place, without_it)
