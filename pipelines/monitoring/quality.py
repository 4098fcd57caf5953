"""Data quality as the tables themselves tell it: rows, quarantined rows by reason, broken rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Table
from pipelines.lake.read import latest_version, read_at, table_exists

if TYPE_CHECKING:
    from pipelines.config.clean import Entity
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


def versions(run: Run) -> dict[str, int]:
    """Return the newest versions of the silver and quarantine tables that exist."""
    tables = [
        Table(layer, name)
        for name in run.pipeline.clean.entities
        for layer in ("silver", "quarantine")
    ]
    return {
        str(table): latest_version(run.spark, run.lake, table)
        for table in tables
        if table_exists(run.spark, run.lake, table)
    }


def checks(run: Run, resolved: dict[str, int]) -> list[Check]:
    """Return row counts, rules of severity `warn` on silver, and quarantined rows by reason."""
    found: list[Check] = []
    for name, entity in run.pipeline.clean.entities.items():
        found += _silver(run, name, entity, resolved)
        found += _quarantine(run, name, resolved)
    return found


def _silver(run: Run, name: str, entity: Entity, resolved: dict[str, int]) -> list[Check]:
    from pyspark.sql import functions as F

    table = f"silver.{name}"
    if table not in resolved:
        return []
    version = resolved[table]
    warnings = [rule for rule in entity.rules if rule.severity == "warn"]
    broken = [
        F.count_if(~F.coalesce(F.expr(rule.check), F.lit(True))).alias(f"rule_{number}")
        for number, rule in enumerate(warnings)
    ]
    counted = read_at(run.spark, run.lake, table, version)
    row = counted.agg(F.count(F.lit(1)).alias("rows"), *broken).head()
    if row is None:
        return []
    rows = Check(table, version, "rows", "info", row["rows"], 0)
    return [
        rows,
        *(
            Check(table, version, rule.name, rule.severity, row["rows"], row[f"rule_{number}"])
            for number, rule in enumerate(warnings)
        ),
    ]


def _quarantine(run: Run, name: str, resolved: dict[str, int]) -> list[Check]:
    from pyspark.sql import functions as F

    table = f"quarantine.{name}"
    if table not in resolved:
        return []
    version = resolved[table]
    rows = read_at(run.spark, run.lake, table, version)
    total = rows.count()
    reasons = rows.select(F.explode("reasons").alias("reason")).groupBy("reason").count()
    return [
        Check(table, version, row["reason"], "quarantine", total, row["count"])
        for row in reasons.orderBy("reason").collect()
    ]
