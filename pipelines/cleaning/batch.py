"""The new bronze rows of one entity, treated and judged; nothing of them is written yet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning import progress as state
from pipelines.cleaning.casts import BOOKKEEPING, ORDER, RELEASE_BATCH
from pipelines.cleaning.duplicates import FATE, Snapshot, is_of
from pipelines.cleaning.fit import Fitted, columns_to_fit, fit_bounds, known_bounds
from pipelines.cleaning.judge import Judgement, judge, refusal
from pipelines.cleaning.made_with import sign, together
from pipelines.cleaning.outliers import fixed_bounds
from pipelines.cleaning.treat import treat, type_rows
from pipelines.config.clean import Entity
from pipelines.config.ingest import Source
from pipelines.lake import tables
from pipelines.lake.changes import rows_added
from pipelines.lake.read import read_at
from pipelines.privacy.protect import Protection, protect
from pipelines.quality.table_rules import TableResult

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
    `has_new_snapshot` says that it is in this batch. `newest` is the newest file seen so far.
    """

    name: str
    entity: Entity
    rows: DataFrame
    judgement: Judgement
    num_delivered: int
    """Its rows without those that a person put back, or that were consumed and are read again."""
    bronze: Bronze
    snapshot: Snapshot | None = None
    has_new_snapshot: bool = False
    newest: Snapshot | None = None
    fitted: Mapping[str, Fitted] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    table_results: tuple[TableResult, ...] = ()
    came_from: state.Progress | None = None
    """How far the entity was when the batch was prepared."""
    is_again: bool = False
    """Whether it holds all of bronze, to make the entity's tables anew."""
    made_with: tuple[str, ...] = ()
    """Signs of the settings that rows of its tables are then made with."""


def snapshot_rows(batch: Batch) -> DataFrame:
    """Return the batch's rows of the newest full snapshot."""
    assert batch.snapshot is not None  # asked for only where there is one
    return batch.rows.where(is_of(batch.snapshot))


def prepare(run: Run, name: str, bronze: Bronze) -> Batch | None:
    """Treat and judge what bronze holds beyond the entity's progress; None if nothing."""
    pipeline, entity = run.pipeline, run.pipeline.clean.entities[name]
    table = str(tables.bronze(entity.source))
    before = came_from = state.read_progress(run.spark, run.lake, pipeline.name, name)
    if before is not None and before.bronze_id != bronze.id:
        logger.warning("%s was made anew since %s was cleaned: all its rows are read", table, name)
        before = None
    is_again = name in run.again
    if is_again:
        before = None
    after = before.bronze_version if before else None
    added = rows_added(run.spark, run.lake, table, after, bronze.version)
    if added is None:
        return None
    protection = Protection.of(pipeline, entity.source)
    new_rows = with_untyped(protect(added.rows, protection), entity)
    is_snapshot = pipeline.ingest.sources[entity.source].delivery == "full_snapshot"
    seen = before.snapshot if before else None
    consumed = came_from.newest if came_from and added.is_all else None
    oldest, newest, num_delivered, has_released = _ends(new_rows, consumed)
    new_snapshot = newest if is_snapshot else None
    snapshot = max((s for s in (seen, new_snapshot) if s is not None), default=None)
    fitted = _fit_where_possible(run, name, bronze.version, is_again)
    bounds = known_bounds(entity.columns, fitted, fixed_bounds(entity.columns))
    zone = pipeline.zone_of(entity.source)
    # Made anew, a key keeps its newest good row, of whatever snapshot, as it would have done.
    only = None if is_again else snapshot
    # Without `_batch` nobody looks for the delivered row of a released one.
    told = new_rows if has_released else new_rows.drop("_batch")
    rows = treat(told, name, entity, bounds, only, zone=zone)
    latest = before.newest if before else None
    # Rows of the newest file itself may be late, too: released ones.
    has_late = oldest is not None and (latest is None or oldest <= latest)
    if before is not None and has_late and not is_snapshot:
        whole = read_at(run.spark, run.lake, table, bronze.version)
        # Keys are looked for as silver has them.
        whole = with_untyped(protect(whole, protection), entity)
        keys = rows.where(F.col(FATE) == "kept").select(*entity.key).distinct()
        all_rows = treat(whole, name, entity, bounds, snapshot, keys, zone)
        rows = without_outdated(rows, all_rows, entity.key)
    rows = rows.cache()
    judgement = judge(rows, entity)
    return Batch(
        name=name,
        entity=entity,
        rows=rows,
        judgement=judgement,
        num_delivered=num_delivered,
        bronze=bronze,
        snapshot=snapshot,
        # Rows of a snapshot seen before (released ones) are no snapshot: keys it lacks stay.
        has_new_snapshot=new_snapshot is not None and (seen is None or new_snapshot > seen),
        newest=max((s for s in (latest, newest) if s is not None), default=None),
        fitted=fitted,
        notes=_notes(name, entity, judgement, fitted),
        refusal=refusal(rows, name, entity, judgement),
        came_from=came_from,
        is_again=is_again,
        made_with=together(
            came_from.made_with if came_from and not is_again else (), sign(pipeline, name)
        ),
    )


def _ends(
    bronze: DataFrame, consumed: Snapshot | None
) -> tuple[Snapshot | None, Snapshot | None, int, bool]:
    """Return the oldest and newest (delivery time, file) among bronze rows; None without rows.

    Then the number of rows that were delivered, not put back, by files newer than `consumed`, and
    whether any was put back.
    """
    which = F.struct(F.unix_micros("_source_modified_at").alias("at"), F.col("_source_file"))
    is_delivered = F.col("_batch") != RELEASE_BATCH
    if consumed is not None:
        is_delivered &= which > F.struct(*map(F.lit, consumed))
    found = bronze.agg(
        F.min(which).alias("oldest"),
        F.max(which).alias("newest"),
        F.count_if(is_delivered).alias("delivered"),
        F.count_if(F.col("_batch") == RELEASE_BATCH).alias("released"),
    ).head()
    assert found is not None  # an aggregate without groups is one row
    if found["newest"] is None:
        return None, None, 0, False
    oldest, newest = found["oldest"], found["newest"]
    ends = (oldest[0], oldest[1]), (newest[0], newest[1])
    return *ends, found["delivered"], found["released"] > 0


def without_outdated(rows: DataFrame, consumed: DataFrame, key: Sequence[str]) -> DataFrame:
    """Return a batch in which late rows, older than their key's newest one, are superseded.

    `consumed` are all rows of these keys, the batch among them, with their fates. Silver alone
    can't tell: a deleted key is gone from it, and a newer row that changed nothing left no trace.
    """
    order = F.struct(*[F.col(name) for name in ORDER])
    newest = consumed.where(F.col(FATE) == "kept").select(*key, order.alias("_newest"))
    joined = rows.join(newest, on=list(key), how="left")
    is_outdated = (F.col(FATE) == "kept") & (F.col("_newest") > order)
    fate = F.when(is_outdated, "superseded").otherwise(F.col(FATE))
    return joined.withColumn(FATE, fate).select(*rows.columns)


def with_untyped(bronze: DataFrame, entity: Entity) -> DataFrame:
    """Add the columns that bronze has no type for yet, as nulls.

    A column of Parquet files has no place in the table before a file brings a value. That the
    source declares it, the settings have been checked for.
    """
    origins = [column.source or name for name, column in entity.columns.items()]
    lacking = dict.fromkeys(name for name in origins if name not in bronze.columns)
    return bronze.withColumns({name: F.lit(None) for name in lacking})


def no_rows(run: Run, source: Source) -> DataFrame:
    """Return an empty bronze frame: for tables whose source has not delivered yet."""
    types = {"_source_modified_at": "timestamp", "_row": "bigint", "_batch": "bigint"}
    types["_ingested_at"] = "timestamp"
    names = [*source.columns, *BOOKKEEPING]
    schema = ", ".join(f"`{name}` {types.get(name, 'string')}" for name in names)
    return run.spark.createDataFrame([], schema)


def _fit_where_possible(
    run: Run, name: str, bronze_version: int, is_again: bool
) -> dict[str, Fitted]:
    """Return the stored bounds, and those that can be fitted now for the first time, or again."""
    entity = run.pipeline.clean.entities[name]
    stored = state.read_fitted(run.spark, run.lake, run.pipeline.name, name)
    if is_again:
        stored = {}
    wanted = columns_to_fit(entity, stored)
    if not wanted:
        return stored
    bronze = read_at(run.spark, run.lake, tables.bronze(entity.source), bronze_version)
    bronze = protect(bronze, Protection.of(run.pipeline, entity.source))
    zone = run.pipeline.zone_of(entity.source)
    typed = type_rows(with_untyped(bronze, entity), name, entity, zone)
    fitted = fit_bounds(typed, entity, wanted, bronze_version)
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
    notes += [
        f"{name}.{column}: {twice:,} times are of an hour that came twice, when clocks were put "
        "back, and don't say of which; the first was taken"
        for column, (_, twice) in judgement.zoned.items()
        if twice
    ]
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
