"""Writing a judged batch: quarantine, silver, progress, in this order."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipelines.cleaning import progress as state
from pipelines.cleaning.batch import Batch, snapshot_rows
from pipelines.cleaning.casts import ORDER
from pipelines.cleaning.held import check_held
from pipelines.cleaning.judge import prune_condition
from pipelines.cleaning.rows import (
    living,
    one_each,
    quarantine_rows,
    silver_rows,
    that_stay,
)
from pipelines.cleaning.snapshots import gap_in_snapshot
from pipelines.cleaning.treat import TOMBSTONE, silver_columns
from pipelines.errors import LakeError, SchemaError
from pipelines.lake import tables
from pipelines.lake.catalog import Table
from pipelines.lake.changes import switch_on_feed
from pipelines.lake.merge import MergeBy, delete_absent, insert_new, upsert
from pipelines.lake.read import read_at, table_exists
from pipelines.lake.write import create_if_absent, replace_all

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run


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


def store(run: Run, batch: Batch) -> Written:
    """Write a batch. Repeated, it changes nothing more; progress is written last."""
    name, entity, fates = batch.name, batch.entity, batch.judgement.fates
    _check_alone(run, batch)
    at = dt.datetime.now(dt.UTC)
    silver, quarantine = run.tables.silver(name), tables.quarantine(name)
    good, bad = silver_rows(batch.rows, entity, at), quarantine_rows(batch.rows, at)
    if batch.judgement.rows_in > batch.num_delivered:
        bad = one_each(bad)
    if not batch.is_again:
        check_schema(run, silver, good.drop(TOMBSTONE))
    if batch.fitted or batch.is_again:
        state.write_fitted(run.spark, run.lake, run.pipeline.name, name, batch.fitted)
    written = (_replaced if batch.is_again else _merged)(run, batch, good, bad)
    counts = written.counts
    counts.check(name)
    if fates["quarantined"]:
        check_held(bad, run.lake, quarantine, written.quarantine_version, quarantine.key)
    if counts.inserted + counts.updated + counts.unchanged:
        prune = prune_condition(batch.judgement)
        stays, _ = that_stay(run, batch, good) if batch.is_again else (living(good), None)
        check_held(stays, run.lake, silver, written.silver_version, entity.key, prune)
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
        *(batch.bronze.version, batch.bronze.id, batch.snapshot, last, batch.newest),
        made_with=batch.made_with,
    )
    _check_alone(run, batch)
    state.write_progress(run.spark, run.lake, run.pipeline.name, name, progress)
    return written


def _merged(run: Run, batch: Batch, good: DataFrame, bad: DataFrame) -> Written:
    """Add a batch's rows to quarantine, and merge them into silver."""
    name, entity, fates = batch.name, batch.entity, batch.judgement.fates
    silver, quarantine = run.tables.silver(name), tables.quarantine(name)
    if fates["quarantined"]:
        quarantine_version = insert_new(bad, run.lake, quarantine, quarantine.key).version
    else:
        create_if_absent(run.spark, run.lake, quarantine, bad.schema)
        quarantine_version = run.standing.versions(quarantine)[str(quarantine)]
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
    return Written(counts, silver_version, quarantine_version, notes)


def _replaced(run: Run, batch: Batch, good: DataFrame, bad: DataFrame) -> Written:
    """Put a batch, which is of all rows of bronze, in place of quarantine and silver.

    Each is one commit: who reads meanwhile sees the table before or after. A run that is killed
    between them has moved nothing on, and is repeated; `clean` without `--again` merges the rows
    that bronze gained meanwhile into either.
    """
    name, fates = batch.name, batch.judgement.fates
    rows, gap = that_stay(run, batch, good)
    silver = run.tables.silver(name)
    quarantine_version = replace_all(bad, run.lake, tables.quarantine(name))
    silver_version = replace_all(rows.drop(TOMBSTONE), run.lake, silver, batch.entity.cluster_by)
    switch_on_feed(run.spark, run.lake, silver)
    held = read_at(run.spark, run.lake, silver, silver_version).count()
    deleted = good.where(TOMBSTONE).count() if batch.entity.delete_when else 0
    counts = Counts(
        rows_in=batch.judgement.rows_in,
        inserted=held,
        deleted=deleted,
        # And what the newest snapshot no longer holds.
        superseded=fates["superseded"] + fates["kept"] - deleted - held,
        dropped=fates["dropped"],
        quarantined=fates["quarantined"],
    )
    notes = (*batch.notes, f"{name}: no row was removed, {gap}") if gap else batch.notes
    return Written(counts, silver_version, quarantine_version, notes)


def _check_alone(run: Run, batch: Batch) -> None:
    """Raise LakeError where another run has moved the entity's progress on meanwhile.

    A lake of this machine has a lock that sees to it; this is for the others.
    """
    now = state.read_progress(run.spark, run.lake, run.pipeline.name, batch.name)
    if now != batch.came_from:
        bronze = tables.bronze(batch.entity.source)
        who = now.last.get("run_id") if now else None
        raise LakeError(
            f"another clean ({f'run {who}' if who else 'unknown'}) has moved '{batch.name}' on "
            f"to version {now.bronze_version if now else 'none'} of {bronze} "
            "while this run was at work; expected to be alone. Its progress stays as it is, and "
            "no row is lost or doubled: run clean again."
        )


def check_schema(run: Run, table: Table, rows: DataFrame) -> None:
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
        f"{table} has other columns than the settings give it: {'; '.join(differences)}. `tidemill "
        f"clean {run.pipeline.name} --again --entity {table.name}` makes it "
        "anew from bronze."
    )
