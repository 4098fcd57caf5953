"""Erases a subject from a lake: rows, files of older versions, Delta's log, pins of bundles.

Table by table: what will go is written down, live rows are deleted and their files rewritten
(`REORG ... APPLY (PURGE)`), then every file of any version that holds the subject is removed, and
Delta's log loses the statistics of these files. Files that never held it stay, and with them the
versions and the bundles that need no others. Killed at any moment, the same command goes on.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pipelines.erasure.files import files_holding, live_files, overwrite, versions_with
from pipelines.erasure.record import (
    DATABASE_TABLE,
    Record,
    Traces,
    keep_audit,
    keep_record,
    open_record,
)
from pipelines.erasure.redact import Unreadable, redact_checkpoint, redact_commit
from pipelines.erasure.search import (
    Search,
    found_directly,
    found_typed,
    holds,
    search_for,
    wanted,
)
from pipelines.erasure.subject import Subject
from pipelines.erasure.vocabularies import vocabularies_holding
from pipelines.errors import LakeError, UsageError
from pipelines.lake.erased import note_feed_gap
from pipelines.lake.files import file_system, list_files, read_bytes
from pipelines.lake.lock import write_lock
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.tables import DELIVERED, ERASURES, RUNS
from pipelines.maintenance.pins import mark_erased, pinned
from pipelines.maintenance.vacuum import tables_of
from pipelines.privacy.keys import check_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

    from pipelines.config.privacy import Privacy
    from pipelines.run import Run

logger = logging.getLogger(__name__)

# Records of runs hold names and counts, no value of a key.
_NOT_OF_SUBJECTS = (str(RUNS), str(ERASURES))


def erase(run: Run, pairs: list[str]) -> Record:
    """Erase the subject that `column=value` pairs name from all tables of the run's lake.

    Its clear values and its pseudonyms are looked for. Returns what was found and done, which is
    also kept as a row of `monitoring.erasures`. Raises SettingsError for keys that are not the
    lake's, UsageError for a column that is marked otherwise than `pseudonymize`.
    """
    lake, name, privacy = run.lake, run.pipeline.name, run.pipeline.privacy
    # Pseudonyms of another key would find nothing, and the erasure would look finished.
    check_keys(run.spark, lake, name, privacy.keys, may_be_more=True)
    subject = Subject.of(pairs, privacy.keys)
    _refuse_lossy(privacy, subject.columns)
    record = open_record(lake, name, list(subject.columns), subject.key_hash)
    record.not_searched = []
    for table in tables_of(run.spark, lake):
        if table in _NOT_OF_SUBJECTS:
            continue
        run.progress({"event": "note", "text": f"erase: {table}"})
        with write_lock(lake.path(table)):
            _erase_from(run, table, subject, record)
    _mark_bundles(run, record)
    record.vocabularies = vocabularies_holding(lake, subject)
    finished_at = dt.datetime.now(dt.UTC)
    keep_audit(run.spark, lake, record, finished_at)
    record.finished_at = finished_at.isoformat(timespec="seconds")
    keep_record(lake, record)
    return record


def _refuse_lossy(privacy: Privacy, columns: Sequence[str]) -> None:
    for source, marks in privacy.sources.items():
        for column in columns:
            mark = marks.get(column)
            if mark is not None and mark.action != "pseudonymize":
                raise UsageError(
                    f"--key {column}: the column is marked `{mark.action}` in "
                    f"privacy.sources.{source}, so tables behind it can't be searched for its "
                    "value. Name the subject by columns that are kept whole or pseudonymized."
                )


def _erase_from(run: Run, table: str, subject: Subject, record: Record) -> None:
    spark, lake = run.spark, run.lake
    rows = read_at(spark, lake, table, latest_version(spark, lake, table))
    search = search_for(table, rows.columns, run.pipeline, subject)
    if not search.is_possible:
        record.not_searched.append(table)
        return
    traces = record.tables.setdefault(table, Traces())
    identities = _identities(rows, search)
    # Repeated after it was killed, it finds fewer rows than there were.
    traces.rows = max(traces.rows, _count(rows, search, identities))
    _note_landing(record, run, identities)
    if traces.rows:
        keep_record(lake, record)
    _delete(run, table, search, identities)
    place = lake.path(table)
    held = files_holding(spark, place, search)
    if held & live_files(place):
        spark.sql(f"REORG TABLE delta.`{place}` APPLY (PURGE)")
    live = live_files(place)
    gone = sorted((held | set(traces.files)) - live)
    if held & live:
        raise LakeError(
            f"{table} still has live files with rows of the subject after they were deleted: "
            "another run wrote meanwhile. Run the same erase again."
        )
    if not gone:
        # Files that are gone already have left their statistics.
        _redact_log(run, table, frozenset(), subject)
        return
    first, last = versions_with(place, frozenset(gone))
    traces.files = gone
    traces.first_version, traces.last_version = first, last
    keep_record(lake, record)
    note_feed_gap(spark, lake, table, latest_version(spark, lake, table))
    _remove(run, table, gone)
    _redact_log(run, table, frozenset(gone), subject)
    logger.info("erase: %s: %d rows, %d files", table, traces.rows, len(gone))


def _identities(rows: DataFrame, search: Search) -> list[tuple[Any, ...]]:
    """Return what names the subject's rows in bronze and quarantine."""
    found: set[tuple[Any, ...]] = set()
    if set(DELIVERED) <= set(rows.columns):
        direct = found_directly(rows, search)
        frames = found_typed(rows, search) + ([] if direct is None else [direct])
        for frame in frames:
            found |= {tuple(row) for row in frame.selectExpr(*map(_plain, DELIVERED)).collect()}
    return sorted(found, key=str)


def _plain(name: str) -> str:
    # Python takes a time for one of this machine's zone, in which an hour may come twice.
    return f"unix_micros({name})" if name.endswith("_source_modified_at") else name


def _count(rows: DataFrame, search: Search, identities: list[tuple[Any, ...]]) -> int:
    if identities:
        return len(identities)
    direct = found_directly(rows, search)
    return 0 if direct is None else direct.count()


def _note_landing(record: Record, run: Run, identities: list[tuple[Any, ...]]) -> None:
    found = {str(row[0]) for row in identities if row[0]}
    tables = {name for name in found if name.startswith("jdbc:")}
    files = {f"{run.pipeline.landing}/{name}" for name in found - tables}
    tables = {f"{DATABASE_TABLE}{name.removeprefix('jdbc:')}" for name in tables}
    record.landing_files = sorted({*record.landing_files, *files, *tables})


def _delete(run: Run, table: str, search: Search, identities: list[tuple[Any, ...]]) -> None:
    """Delete the live rows, by a merge whose condition holds no value."""
    from delta.tables import DeltaTable

    target = DeltaTable.forPath(run.spark, run.lake.path(table)).alias("target")
    if set(DELIVERED) <= set(target.toDF().columns):
        if not identities:
            return
        source = run.spark.createDataFrame(
            identities, "_source_file string, _source_modified_at bigint, _row bigint"
        )
        same = " AND ".join(f"{_plain(f'target.{name}')} <=> source.`{name}`" for name in DELIVERED)
        target.merge(source.alias("source"), same).whenMatchedDelete().execute()
        return
    source = wanted(run.spark, search.subject).alias("source")
    condition = holds(search, search.columns, "target.", "source.")
    target.merge(source, condition).whenMatchedDelete().execute()


def _mark_bundles(run: Run, record: Record) -> None:
    """Say of the bundles that were trained with the subject that they can't be trained again."""
    facts = {"erasure": record.erasure_id, "at": record.started_at}
    for pin in pinned(run.lake):
        found = record.tables.get(pin.table)
        if found is None or not pin.is_trained_on:
            continue
        if not pin.files.isdisjoint(found.files):
            record.bundles = sorted({*record.bundles, f"{pin.pipeline}/{pin.run_id}"})
            keep_record(run.lake, record)
            mark_erased(pin.bundle, facts)


def _remove(run: Run, table: str, names: list[str]) -> None:
    for name in names:
        system, path = file_system(run.spark, f"{run.lake.path(table)}/{name}")
        system.delete(path, False)


def _redact_log(run: Run, table: str, files: frozenset[str], subject: Subject) -> None:
    spark, place = run.spark, run.lake.path(table)
    log = f"{place}/_delta_log"
    unreadable = Unreadable(files, frozenset(list_files(spark, place)))
    for name, stored in sorted(list_files(spark, log).items()):
        content = read_bytes(spark, stored.uri) or b""
        if name.endswith(".json"):
            text = redact_commit(content.decode("utf-8"), unreadable, subject.is_named_in)
            redacted = None if text is None else text.encode("utf-8")
        elif name.endswith(".parquet"):
            redacted = redact_checkpoint(content, unreadable, subject.is_named_in)
        elif name.endswith(".crc"):
            said = unquote(content.decode("utf-8", "replace"))
            # A checksum may hold the statistics of all files.
            if "minValues" in said or subject.is_named_in(said) or any(f in said for f in files):
                system, path = file_system(spark, stored.uri)
                system.delete(path, False)  # checksums may be missing
            continue
        else:
            continue
        if redacted is not None:
            overwrite(spark, stored.uri, redacted)
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
