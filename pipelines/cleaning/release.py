"""Putting rejected rows back: corrected, they come to bronze once more, and `clean` takes them.

A released row keeps its file, time and number, so it merges by the same order rule as if it had
been delivered right; `_batch` tells it from its original. Bronze is the record of what was
released: a row is released once, whatever is killed in between.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.cleaning import progress as state
from pipelines.cleaning.casts import IS_DROPPED, ORDER, RELEASE_BATCH, raw_columns
from pipelines.cleaning.duplicates import FATE
from pipelines.cleaning.fit import known_bounds
from pipelines.cleaning.outliers import fixed_bounds
from pipelines.cleaning.quarantine import Rejected, row_id
from pipelines.cleaning.texts import stored_from_text
from pipelines.cleaning.treat import treat
from pipelines.errors import LakeError, UsageError
from pipelines.lake import tables
from pipelines.lake.lock import write_lock
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import append_once
from pipelines.privacy.keys import check_keys
from pipelines.privacy.protect import Protection, protect
from pipelines.quality.rules import BROKEN, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from pipelines.run import Run

_WHICH = tables.DELIVERED


@dataclass(frozen=True)
class Released:
    """What became of the rows asked for, by their ids; `refused` says why a row is still bad."""

    released: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def release(run: Run, entity: str, rows: Sequence[Rejected], by: str) -> Released:
    """Put rows back into bronze with their changes, but for those that would be rejected again.

    They are judged by the casts, treatments and rules of today. `clean` then takes them up as any
    new row. Raises LakeError where bronze no longer holds a row, SettingsError for keys that are
    not the lake's.
    """
    run = replace(run, lake=run.lake.signed(run.run_id))
    lake, spark = run.lake, run.spark
    check_keys(spark, lake, run.pipeline.name, run.pipeline.privacy.keys)
    settings = run.pipeline.clean.entities[entity]
    table = str(tables.bronze(settings.source))
    # One at a time: two that correct the same row must not both come through.
    with write_lock(lake.checkpoint(run.pipeline.name, "quarantine", "release")):
        bronze = read_at(spark, lake, table, latest_version(spark, lake, table))
        here = _those(bronze, rows).cache()
        try:
            there = here.where(f"_batch = {RELEASE_BATCH}").select(*_WHICH).collect()
            before = {_id(row) for row in there}
            wanted = [one for one in rows if one.id not in before]
            originals = here.where(f"_batch <> {RELEASE_BATCH}")
            _check_there(originals, wanted, table)
            corrected = _corrected(originals, wanted)
            # What a person wrote into a marked column is clear. So is bronze, typed as it came,
            # where marks act at `clean`: that protects the row again, as any other.
            protection = Protection.of(run.pipeline, settings.source)
            protected = protect(corrected, protection)
            refused = _judge(run, entity, protected)
            if protection is not None and protection.at_ingest:
                corrected = protected
            good = [one for one in wanted if one.id not in refused]
            app_id = _app_id(run.pipeline.name, entity, good)
            if good:
                ids = [one.id for one in good]
                put = _with_ids(corrected, wanted).where(_among(ids)).drop("_id").coalesce(1)
                append_once(put.select(*bronze.columns), lake, table, app_id, 1)
        finally:
            here.unpersist()
        # A release that was killed before it was written down is written down now.
        recorded = [one for one in rows if one.id not in refused and not one.is_released]
        if recorded:
            _record(run, entity, recorded, by)
    done = tuple(one.id for one in good)
    return Released(done, tuple(one.id for one in rows if one.id in before), refused)


def _those(bronze: DataFrame, rows: Sequence[Rejected]) -> DataFrame:
    which = bronze.sparkSession.createDataFrame(
        [(one.file, one.delivered_at, one.row) for one in rows],
        "_source_file string, _source_modified_at timestamp, _row bigint",
    )
    return bronze.join(F.broadcast(which), on=list(_WHICH), how="left_semi")


def _id(row: Row) -> str:
    return row_id(
        row["_source_file"], _naive_is_local(row["_source_modified_at"]), int(row["_row"])
    )


def _naive_is_local(moment: dt.datetime) -> dt.datetime:
    # PySpark hands out times without a zone, in that of this machine.
    return moment.astimezone(dt.UTC)


def _check_there(originals: DataFrame, wanted: Sequence[Rejected], table: str) -> None:
    found = {_id(row) for row in originals.select(*_WHICH).collect()}
    lost = [one for one in wanted if one.id not in found]
    if lost:
        raise LakeError(
            f"{table} no longer holds {len(lost):,} of the rows, for one {lost[0].id} "
            f"({lost[0].file}, row {lost[0].row}): they were erased, or bronze was made anew. "
            "Deliver corrected rows in a new file."
        )


def _with_ids(df: DataFrame, wanted: Sequence[Rejected]) -> DataFrame:
    names = df.sparkSession.createDataFrame(
        [(one.file, one.delivered_at, one.row, one.id) for one in wanted],
        "_source_file string, _source_modified_at timestamp, _row bigint, _id string",
    )
    return df.join(F.broadcast(names), on=list(_WHICH))


def _among(ids: Sequence[str]) -> Any:
    return F.col("_id").isin(list(ids))


def _corrected(originals: DataFrame, wanted: Sequence[Rejected]) -> DataFrame:
    """Return the rows with their changes, as bronze holds rows."""
    changes = originals.sparkSession.createDataFrame(
        [(one.file, one.delivered_at, one.row, dict(one.changes)) for one in wanted],
        "_source_file string, _source_modified_at timestamp, _row bigint, "
        "_changes map<string,string>",
    )
    joined = originals.join(F.broadcast(changes), on=list(_WHICH))
    types = {name: originals.schema[name].dataType for name in raw_columns(originals)}
    named = {name for one in wanted for name in one.changes}
    for name in named:
        given = F.col("_changes")[name]
        typed = stored_from_text(given, types[name].simpleString())
        is_wrong = given.isNotNull() & typed.isNull()
        bad = joined.where(is_wrong).select(given).head()
        if bad is not None:
            raise UsageError(
                f"'{bad[0]}' can't be a value of '{name}', which is of type "
                f"{types[name].simpleString()} in the source"
            )
    values = {
        name: F.when(
            F.map_contains_key("_changes", F.lit(name)),
            stored_from_text(F.col("_changes")[name], types[name].simpleString()),
        ).otherwise(F.col(f"`{name}`"))
        for name in named
    }
    own = {"_batch": F.lit(RELEASE_BATCH).cast("bigint"), "_ingested_at": F.current_timestamp()}
    return joined.withColumns({**values, **own}).select(*originals.columns)


def _judge(run: Run, entity: str, corrected: DataFrame) -> dict[str, tuple[str, ...]]:
    """Return why rows would be rejected again, by id; nothing for good ones."""
    settings, name = run.pipeline.clean.entities[entity], run.pipeline.name
    fitted = state.read_fitted(run.spark, run.lake, name, entity)
    bounds = known_bounds(settings.columns, fitted, fixed_bounds(settings.columns))
    treated = treat(corrected, entity, settings, bounds, zone=run.pipeline.zone_of(settings.source))
    fails = [rule.name for rule in settings.rules if rule.severity == "fail"]
    still_bad = F.col(FATE).isin("quarantined", "refused") & ~F.col(IS_DROPPED)
    bad = treated.where(still_bad).select(
        F.col(ORDER[1]).alias("_source_file"),
        F.col(ORDER[0]).alias("_source_modified_at"),
        F.col(ORDER[2]).alias("_row"),
        F.array_union(
            REASONS,
            F.array_intersect(BROKEN, F.array(*map(F.lit, fails)).cast("array<string>")),
        ).alias("reasons"),
    )
    return {_id(row): tuple(row["reasons"]) for row in bad.collect()}


def _app_id(pipeline: str, entity: str, rows: Sequence[Rejected]) -> str:
    content = json.dumps(sorted((one.id, sorted(one.changes.items())) for one in rows))
    sign = hashlib.sha256(content.encode()).hexdigest()[:16]
    return f"release.{pipeline}.{entity}.{sign}"


def _record(run: Run, entity: str, rows: Sequence[Rejected], by: str) -> None:
    df = run.spark.createDataFrame(
        [
            (
                *(run.pipeline.name, entity, one.id, one.file, one.delivered_at, one.row),
                *(list(one.reasons), sorted(one.changes), by, run.run_id),
            )
            for one in rows
        ],
        "pipeline string, entity string, row_id string, _source_file string, "
        "_source_modified_at timestamp, _row bigint, reasons array<string>, "
        "changed array<string>, released_by string, run_id string",
    )
    df = df.withColumn("released_at", F.current_timestamp()).coalesce(1)
    append_once(df, run.lake, tables.RELEASES, _app_id(run.pipeline.name, entity, rows), 1)
