"""Writing a judged batch: quarantine, silver, progress, in this order."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipelines.cleaning import progress as state
from pipelines.cleaning.batch import Batch, no_rows, snapshot_rows
from pipelines.cleaning.casts import ORDER, RAW
from pipelines.cleaning.duplicates import FATE
from pipelines.cleaning.held import check_held
from pipelines.cleaning.judge import prune_condition
from pipelines.cleaning.treat import TOMBSTONE, silver_columns, treat
from pipelines.config.clean import Entity
from pipelines.errors import LakeError, SchemaError
from pipelines.lake.changes import switch_on_feed
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.write import MergeBy, create_if_absent, delete_absent, insert_new, upsert
from pipelines.quality.rules import REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run

QUARANTINE_KEY = ("_source_file", "_source_modified_at", "_row")


@dataclass(frozen=True)
class Counts:
    """Where the new rows of an entity went.

    rows_in = inserted + updated + unchanged + deleted + superseded + dropped + quarantined.
    `deleted` are rows that removed their key by `delete_when`. `removed` counts silver rows that a
    full snapshot no longer holds; no new row stands behind them.
    """

    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    superseded: int = 0
    dropped: int = 0
    quarantined: int = 0
    removed: int = 0

    def check(self, name: str) -> None:
        """Raise LakeError unless every row is accounted for."""
        went = {k: v for k, v in asdict(self).items() if k not in ("rows_in", "removed")}
        if sum(went.values()) != self.rows_in or min(went.values()) < 0:
            raise LakeError(
                f"clean lost count of entity '{name}': {self.rows_in} rows came in, but "
                f"{went} went out. Its progress was not moved on; run clean again."
            )


@dataclass(frozen=True)
class Written:
    """What a batch left: counts, and the versions of the tables it went to."""

    counts: Counts
    silver_version: int
    quarantine_version: int
    notes: tuple[str, ...] = ()


def silver_rows(rows: DataFrame, entity: Entity, at: dt.datetime) -> DataFrame:
    """Return the kept rows as the silver table holds them."""
    from pyspark.sql import functions as F

    tombstone = [TOMBSTONE] if TOMBSTONE in rows.columns else []
    return rows.where(F.col(FATE) == "kept").select(
        *[F.col(f"`{name}`") for name in silver_columns(entity)],
        *ORDER,
        F.col(ORDER[1]).alias("_source_file"),
        F.lit(at).alias("_updated_at"),
        *tombstone,
    )


def quarantine_rows(rows: DataFrame, at: dt.datetime) -> DataFrame:
    """Return the quarantined rows with their raw values and reasons."""
    from pyspark.sql import functions as F

    return rows.where(F.col(FATE) == "quarantined").select(
        f"{RAW}.*",
        F.col(REASONS).alias("reasons"),
        F.col(ORDER[1]).alias("_source_file"),
        F.col(ORDER[2]).alias("_row"),
        F.col(ORDER[0]).alias("_source_modified_at"),
        F.lit(at).alias("quarantined_at"),
    )


def store(run: Run, batch: Batch) -> Written:
    """Write a batch. Repeated, it changes nothing more; progress is written last."""
    name, entity, fates = batch.name, batch.entity, batch.judgement.fates
    _check_alone(run, batch)
    at = dt.datetime.now(dt.UTC)
    silver, quarantine = f"silver.{name}", f"quarantine.{name}"
    good, bad = silver_rows(batch.rows, entity, at), quarantine_rows(batch.rows, at)
    if batch.judgement.rows_in > batch.num_delivered:
        bad = _one_each(bad)
    check_schema(run, silver, good.drop(TOMBSTONE))
    if batch.fitted:
        state.write_fitted(run.spark, run.lake, run.pipeline.name, name, batch.fitted)
    if fates["quarantined"]:
        quarantine_version = insert_new(bad, run.lake, quarantine, QUARANTINE_KEY).version
    else:
        create_if_absent(run.spark, run.lake, quarantine, bad.schema)
        quarantine_version = latest_version(run.spark, run.lake, quarantine)
    by = MergeBy(
        key=entity.key,
        order_by=ORDER,
        content=silver_columns(entity),
        tombstone=TOMBSTONE if entity.delete_when else None,
        prune=prune_condition(batch.judgement),
    )
    if table_exists(run.spark, run.lake, silver):
        switch_on_feed(run.spark, run.lake, silver)  # one of before silver had it
    merged = upsert(good, run.lake, silver, by, cluster_by=entity.cluster_by)
    removed, notes = 0, batch.notes
    silver_version = merged.version
    if batch.has_new_snapshot and not merged.was_empty:
        gap = gap_in_snapshot(run, batch)
        if gap:
            notes = (*notes, f"{name}: no row was removed, {gap}")
        else:
            keys = snapshot_rows(batch).select(*entity.key).distinct()
            absent = delete_absent(keys, run.lake, silver, entity.key)
            removed, silver_version = absent.deleted, absent.version
    counts = Counts(
        rows_in=batch.judgement.rows_in,
        inserted=merged.inserted,
        updated=merged.updated,
        deleted=merged.deleted,
        unchanged=fates["kept"] - merged.inserted - merged.updated - merged.deleted,
        superseded=fates["superseded"],
        dropped=fates["dropped"],
        quarantined=fates["quarantined"],
        removed=removed,
    )
    counts.check(name)
    if fates["quarantined"]:
        check_held(bad, run.lake, quarantine, quarantine_version, QUARANTINE_KEY)
    if fates["kept"]:
        # A row that removes its key by `delete_when` leaves nothing to look for.
        stays = good.where(f"NOT {TOMBSTONE}") if entity.delete_when else good
        check_held(stays, run.lake, silver, silver_version, entity.key, by.prune)
    came_from = batch.came_from
    last = {
        "run_id": run.run_id,
        "counts": asdict(counts),
        "delivered": batch.num_delivered or (came_from.num_delivered if came_from else None),
        "rules": [
            *(result.to_dict(name) for result in batch.judgement.rules),
            *({"entity": name, **result.to_dict()} for result in batch.table_results),
        ],
    }
    progress = state.Progress(
        batch.bronze.version, batch.bronze.id, batch.snapshot, last, batch.newest
    )
    _check_alone(run, batch)
    state.write_progress(run.spark, run.lake, run.pipeline.name, name, progress)
    return Written(counts, silver_version, quarantine_version, notes)


def _one_each(bad: DataFrame) -> DataFrame:
    """Return one quarantined row where a row and what a person made of it are both bad."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    values = F.xxhash64(*[F.col(f"`{name}`") for name in bad.columns if name != "quarantined_at"])
    ranked = bad.withColumn(
        "_rank", F.row_number().over(Window.partitionBy(*QUARANTINE_KEY).orderBy(values))
    )
    return ranked.where("_rank = 1").drop("_rank")


def _check_alone(run: Run, batch: Batch) -> None:
    """Raise LakeError where another run has moved the entity's progress on meanwhile.

    A lake of this machine has a lock that sees to it; this is for the others.
    """
    now = state.read_progress(run.spark, run.lake, run.pipeline.name, batch.name)
    if now != batch.came_from:
        who = now.last.get("run_id") if now else None
        raise LakeError(
            f"another clean ({f'run {who}' if who else 'unknown'}) has moved '{batch.name}' on "
            f"to version {now.bronze_version if now else 'none'} of bronze.{batch.entity.source} "
            "while this run was at work; expected to be alone. Its progress stays as it is, and "
            "no row is lost or doubled: run clean again."
        )


def create_tables(run: Run, name: str) -> None:
    """Make the tables of an entity whose source has not delivered yet, so that others can read.

    The quarantine table of a Parquet source waits for the first file: its types are the file's.
    """
    at = dt.datetime.now(dt.UTC)
    entity = run.pipeline.clean.entities[name]
    source = run.pipeline.ingest.sources[entity.source]
    rows = treat(no_rows(run, source), name, entity, {})
    good = silver_rows(rows, entity, at).drop(TOMBSTONE).schema
    create_if_absent(run.spark, run.lake, f"silver.{name}", good, cluster_by=entity.cluster_by)
    if source.format != "parquet":
        bad = quarantine_rows(rows, at).schema
        create_if_absent(run.spark, run.lake, f"quarantine.{name}", bad)


def check_schema(run: Run, table: str, rows: DataFrame) -> None:
    """Raise SchemaError where a table's columns are not those of the rows to be written."""
    if not table_exists(run.spark, run.lake, table):
        return
    there = run.spark.read.format("delta").load(run.lake.path(table)).schema
    has = {field.name: field.dataType.simpleString() for field in there}
    gets = {field.name: field.dataType.simpleString() for field in rows.schema}
    if has == gets:
        return
    differences = [
        f"'{name}' is {has.get(name, 'not there')}, settings say {gets.get(name, 'nothing')}"
        for name in [*gets, *(name for name in has if name not in gets)]
        if has.get(name) != gets.get(name)
    ]
    raise SchemaError(
        f"{table} has other columns than the settings give it: {'; '.join(differences)}. To clean "
        f"all of bronze anew, move {run.lake.path(table)} away and delete the entity's files in "
        f"{run.lake.state(run.pipeline.name, 'clean', '*')}."
    )


def gap_in_snapshot(run: Run, batch: Batch) -> str | None:
    """Say why the newest snapshot can't be trusted to name all keys; None where it can."""
    from pyspark.sql import functions as F

    assert batch.snapshot is not None
    at, file = batch.snapshot
    has_no_key = F.lit(False)
    for name in batch.entity.key:
        has_no_key = has_no_key | F.col(f"`{name}`").isNull()
    if not snapshot_rows(batch).where(has_no_key).isEmpty():
        return f"the snapshot {file} holds rows without a key"
    ledger = f"bronze.{batch.entity.source}_files"
    if not table_exists(run.spark, run.lake, ledger):
        return None
    entries = run.spark.read.format("delta").load(run.lake.path(ledger))
    bad = entries.where(
        (F.col("path") == file) & (F.unix_micros("modified_at") == at) & (F.col("malformed") > 0)
    )
    return None if bad.isEmpty() else f"the snapshot {file} holds malformed records"
