"""Removes files that no version within the retention and no kept bundle needs.

Delta's VACUUM does the removing. It is handed an inventory: all files of the table but those that
bundles need, which it therefore can't see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.errors import FeedError, UsageError
from pipelines.lake.catalog import LAYERS, Lake, Table
from pipelines.lake.files import StoredFile, file_system, list_files
from pipelines.lake.lock import write_lock
from pipelines.lake.session import session_settings
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.unmade import is_made
from pipelines.maintenance.pins import Pin, files_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SAFE_HOURS = 168.0
"""Delta's own week: an unfinished write of another driver must not lose its files."""
_INVENTORY = "path string, length bigint, isDir boolean, modificationTime bigint"
_SETTINGS = {
    # A retention shorter than the table's own was asked for, and is checked here.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    # Delta would commit two versions a vacuum; a version is to say that the content changed.
    "spark.databricks.delta.vacuum.logging.enabled": "false",
}


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum of a table removed (or would), and what it kept for bundles alone.

    `kept_for` has the number of files by run, of files that the table's newest version has not;
    `missing_for` those it was trained on that were gone already.
    """

    table: str
    removed_files: int = 0
    removed_bytes: int = 0
    kept_files: int = 0
    kept_bytes: int = 0
    kept_for: Mapping[str, int] = field(default_factory=dict)
    missing_for: Mapping[str, int] = field(default_factory=dict)


def vacuum_table(
    spark: SparkSession,
    lake: Lake,
    table: str,
    pins: Sequence[Pin],
    retention_hours: float | None = None,
    dry_run: bool = False,
) -> Vacuumed:
    """Remove a table's files that neither `pins` nor a version younger than the retention needs.

    The retention is that of the table (`delta.deletedFileRetentionDuration`) unless it is given.
    Raises UsageError for less than a week where other drivers may be writing.
    """
    _check_retention(lake, retention_hours)
    place = lake.path(table)
    with write_lock(place):
        stored, live = list_files(spark, place), _live_files(place)
        own = [pin for pin in pins if pin.table == table]
        needed, trained_on = _by_run(own), _by_run([pin for pin in own if pin.is_trained_on])
        every = frozenset[str]().union(*needed.values())
        rest = {name: file for name, file in stored.items() if name not in every}
        removed: Set[str] = frozenset()
        if rest.keys() - live:
            retain = "" if retention_hours is None else f" RETAIN {retention_hours:g} HOURS"
            options = f"{retain}{' DRY RUN' if dry_run else ''}"
            removed = _vacuum(spark, place, list(rest.values()), options)
            if not dry_run:
                removed = stored.keys() - list_files(spark, place).keys()
    kept = {name for name in every - live if name in stored}
    return Vacuumed(
        table=table,
        removed_files=len(removed),
        removed_bytes=sum(stored[name].num_bytes for name in removed if name in stored),
        kept_files=len(kept),
        kept_bytes=sum(stored[name].num_bytes for name in kept),
        kept_for=_counts({run: files & kept for run, files in needed.items()}),
        missing_for=_counts({run: files - stored.keys() for run, files in trained_on.items()}),
    )


def _check_retention(lake: Lake, hours: float | None) -> None:
    if hours is None or hours >= SAFE_HOURS or lake.is_local:
        return
    raise UsageError(
        f"a retention of {hours:g} hours is less than {SAFE_HOURS:g}: on {lake.root} no lock keeps "
        "another driver from writing meanwhile, whose unfinished files would be removed. Give a "
        "week at least, or set `delta.deletedFileRetentionDuration` of the table itself."
    )


def _vacuum(
    spark: SparkSession, place: str, files: Sequence[StoredFile], options: str
) -> frozenset[str]:
    """Let Delta vacuum; return the names of the files that a dry run would remove."""
    rows = [(file.uri, file.num_bytes, False, file.modified_ms) for file in files]
    inventory = spark.createDataFrame(rows, _INVENTORY)
    inventory.createOrReplaceTempView("_tidemill_inventory")
    query = f"VACUUM delta.`{place}` USING INVENTORY (SELECT * FROM _tidemill_inventory){options}"
    try:
        with session_settings(spark, _SETTINGS):
            found = spark.sql(query).collect()
    finally:
        spark.catalog.dropTempView("_tidemill_inventory")
    roots = [place.rstrip("/") + "/", f"file:{place.rstrip('/')}/"]
    names = set()
    for row in found:
        for root in roots:
            if row[0].startswith(root):
                names.add(row[0].removeprefix(root))
    return frozenset(names)


def _live_files(place: str) -> frozenset[str]:
    """Return the files of a table's newest version, those of its deletion vectors too.

    None where only Spark can read the table: no bundle needs such a one.
    """
    try:
        return files_of(take_snapshot(place))
    except FeedError:
        return frozenset()


def _by_run(pins: Sequence[Pin]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for pin in pins:  # runs of two pipelines may have the same id
        found[pin.run_id] = found.get(pin.run_id, frozenset()) | pin.files
    return found


def _counts(files: Mapping[str, frozenset[str]]) -> dict[str, int]:
    return {run: len(names) for run, names in files.items() if names}


def tables_of(spark: SparkSession, lake: Lake) -> list[str]:
    """Return the names of all Delta tables that are in the lake, layer by layer."""
    found = []
    for layer in LAYERS:
        system, path = file_system(spark, f"{lake.root}/{layer}")
        if not system.exists(path):
            continue
        for status in system.listStatus(path):
            name = str(status.getPath().getName())
            if status.isDirectory() and is_made(spark, f"{lake.root}/{layer}/{name}"):
                found.append(str(Table(layer, name)))
    return sorted(found)


def parse_retention(text: str) -> float:
    """Return a retention such as `30d`, `12h` or `90s` in hours; raise UsageError for others."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(d|h|m|s)", text.strip())
    if match is None:
        raise UsageError(f"'{text}' is no retention; expected a number with d, h, m or s, as 30d.")
    return float(match[1]) * {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}[match[2]]
