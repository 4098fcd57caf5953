"""The new bronze rows of one entity, treated and judged; nothing of them is written yet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.cleaning import progress as state
from pipelines.cleaning.casts import BOOKKEEPING
from pipelines.cleaning.duplicates import Snapshot
from pipelines.cleaning.fit import Fitted, columns_to_fit, fit_bounds, known_bounds
from pipelines.cleaning.judge import Judgement, judge, refusal
from pipelines.cleaning.outliers import fixed_bounds
from pipelines.cleaning.treat import treat, type_rows
from pipelines.config.clean import Entity
from pipelines.config.ingest import Source
from pipelines.lake.changes import rows_added
from pipelines.lake.read import read_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bronze:
    """A bronze table as the run resolved it."""

    version: int
    id: str


@dataclass(frozen=True)
class Batch:
    """Treated rows of one entity (cached) and what they amount to.

    `snapshot` is the newest full snapshot seen so far, where the source delivers such;
    `has_new_snapshot` says that it is in this batch.
    """

    name: str
    entity: Entity
    rows: DataFrame
    judgement: Judgement
    bronze: Bronze
    snapshot: Snapshot | None = None
    has_new_snapshot: bool = False
    fitted: Mapping[str, Fitted] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refusal: str | None = None


def prepare(run: Run, name: str, bronze: Bronze) -> Batch | None:
    """Treat and judge what bronze holds beyond the entity's progress; None if nothing."""
    pipeline, entity = run.pipeline, run.pipeline.clean.entities[name]
    table = f"bronze.{entity.source}"
    before = state.read_progress(run.spark, run.lake, pipeline.name, name)
    if before is not None and before.bronze_id != bronze.id:
        logger.warning("%s was made anew since %s was cleaned: all its rows are read", table, name)
        before = None
    after = before.bronze_version if before else None
    new_rows = rows_added(run.spark, run.lake, table, after, bronze.version)
    if new_rows is None:
        return None
    is_snapshot = pipeline.ingest.sources[entity.source].delivery == "full_snapshot"
    seen = before.snapshot if before else None
    newest = newest_snapshot(new_rows) if is_snapshot else None
    snapshot = max((s for s in (seen, newest) if s is not None), default=None)
    fitted = _fit_where_possible(run, name, bronze.version)
    bounds = known_bounds(entity.columns, fitted, fixed_bounds(entity.columns))
    rows = treat(new_rows, name, entity, bounds, snapshot).cache()
    judgement = judge(rows, entity)
    return Batch(
        name=name,
        entity=entity,
        rows=rows,
        judgement=judgement,
        bronze=bronze,
        snapshot=snapshot,
        has_new_snapshot=newest is not None and newest == snapshot,
        fitted=fitted,
        notes=_notes(name, entity, judgement, fitted),
        refusal=refusal(rows, name, entity, judgement),
    )


def newest_snapshot(bronze: DataFrame) -> Snapshot | None:
    """Return the newest (delivery time, file) among bronze rows; None where there are none."""
    from pyspark.sql import functions as F

    which = F.struct(F.unix_micros("_source_modified_at").alias("at"), F.col("_source_file"))
    found = bronze.agg(F.max(which).alias("newest")).head()
    assert found is not None  # an aggregate without groups is one row
    return None if found["newest"] is None else (found["newest"][0], found["newest"][1])


def no_rows(run: Run, source: Source) -> DataFrame:
    """Return an empty bronze frame: for tables whose source has not delivered yet."""
    types = {"_source_modified_at": "timestamp", "_row": "bigint", "_batch": "bigint"}
    types["_ingested_at"] = "timestamp"
    names = [*source.columns, *BOOKKEEPING]
    schema = ", ".join(f"`{name}` {types.get(name, 'string')}" for name in names)
    return run.spark.createDataFrame([], schema)


def _fit_where_possible(run: Run, name: str, bronze_version: int) -> dict[str, Fitted]:
    """Return the stored bounds, and those that can be fitted now for the first time."""
    entity = run.pipeline.clean.entities[name]
    stored = state.read_fitted(run.spark, run.lake, run.pipeline.name, name)
    wanted = columns_to_fit(entity, stored)
    if not wanted:
        return stored
    bronze = read_at(run.spark, run.lake, f"bronze.{entity.source}", bronze_version)
    fitted = fit_bounds(type_rows(bronze, name, entity), entity, wanted, bronze_version)
    for column, fit in fitted.items():
        logger.info(
            "clean %s.%s: bounds %s..%s fitted by %s on %d rows of %s",
            name,
            column,
            fit.lower,
            fit.upper,
            fit.settings["method"],
            fit.rows,
            " to ".join(fit.settings["fit_range"]),
        )
    kept = {column: fit for column, fit in stored.items() if column not in wanted}
    return {**kept, **fitted}


def _notes(
    name: str, entity: Entity, judgement: Judgement, fitted: Mapping[str, Fitted]
) -> tuple[str, ...]:
    notes = [f"{name}.{column} is null in all new rows" for column in judgement.empty]
    for column, settings in entity.columns.items():
        if settings.outliers is None or not settings.outliers.is_fitted:
            continue
        if column not in fitted:
            notes.append(
                f"{name}.{column}: outliers are not looked for until the data reaches the end of "
                "fit_range"
            )
        elif fitted[column].lower is None:
            notes.append(f"{name}.{column}: its values don't spread in fit_range, so no bounds")
    return tuple(notes)
