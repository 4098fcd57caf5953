"""Data quality as the tables themselves tell it: rows, quarantined rows by reason, broken rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.progress import read_progress
from pipelines.lake.catalog import Table
from pipelines.lake.opened import OpenedLake
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.tables import quarantine

if TYPE_CHECKING:
    from pipelines.run import Run


@dataclass(frozen=True)
class Check:
    """One line of `monitoring.<model>_quality`: `num_broken` of `num_rows` rows of a table."""

    table_name: str
    table_version: int
    check_name: str
    severity: str
    num_rows: int
    num_broken: int

    @property
    def is_ok(self) -> bool:
        """Whether no row was broken."""
        return self.num_broken == 0


def look(run: Run) -> dict[str, int]:
    """Return the newest versions of the silver and quarantine tables that exist."""
    entities = run.pipeline.clean.entities
    tables = [t for name in entities for t in (run.tables.silver(name), quarantine(name))]
    return {
        str(table): latest_version(run.spark, run.lake, table)
        for table in tables
        if table_exists(run.spark, run.lake, table)
    }


def checks(run: Run, opened: OpenedLake) -> list[Check]:
    """Return rows, rules and quarantined rows of each entity.

    Rules are told as the last `clean` that found new rows counted them; reasons of quarantine are
    those of the whole table, beside all rows kept and quarantined.
    """
    found: list[Check] = []
    for name in run.pipeline.clean.entities:
        kept = _rows(opened, run.tables.silver(name))
        found += kept + _rules(run, name, opened)
        found += _quarantine(opened, quarantine(name), sum(check.num_rows for check in kept))
    return found


def _rows(opened: OpenedLake, table: Table) -> list[Check]:
    if table not in opened:
        return []
    rows = opened.read(table).count()
    return [Check(str(table), opened.version(table), "rows", "info", rows, 0)]


def _rules(run: Run, name: str, opened: OpenedLake) -> list[Check]:
    table = run.tables.silver(name)
    progress = read_progress(run.spark, run.lake, run.pipeline.name, name)
    if progress is None or table not in opened:
        return []
    return [
        Check(
            str(table),
            opened.version(table),
            rule["rule"],
            rule["severity"],
            rule["checked"],
            rule["broken"],
        )
        for rule in progress.last.get("rules", [])
    ]


def _quarantine(opened: OpenedLake, table: Table, kept: int) -> list[Check]:
    if table not in opened:
        return []
    name, version = str(table), opened.version(table)
    rows = opened.read(table)
    total = rows.count()
    found = [Check(name, version, "quarantined", "quarantine", kept + total, total)]
    reasons = rows.select(F.explode("reasons").alias("reason")).groupBy("reason").count()
    for row in reasons.orderBy("reason").collect():
        found.append(Check(name, version, row["reason"], "quarantine", kept + total, row["count"]))
    return found
