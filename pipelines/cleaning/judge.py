"""What a treated batch amounts to, counted in one pass, and the refusal by a rule of `fail`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.cleaning.casts import IS_DROPPED, ORDER, ZONED
from pipelines.cleaning.duplicates import FATE, FATES
from pipelines.cleaning.treat import silver_columns
from pipelines.cleaning.zones import NOT_SAID, TWICE
from pipelines.config.clean import Entity, Rule
from pipelines.quality.rules import BROKEN, REASONS, RuleResult

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_EXAMPLES = 3


@dataclass(frozen=True)
class Judgement:
    """Numbers of one batch: rows, fates, rules, empty columns, range of the kept keys."""

    rows_in: int
    fates: Mapping[str, int]
    rules: Sequence[RuleResult]
    empty: Sequence[str] = ()
    """Columns that are null in every row."""
    zoned: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of timestamps: how many values said no offset, and how many of these came twice."""
    key_ranges: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Least and greatest value of key columns among the kept rows, as SQL literals."""


def judge(df: DataFrame, entity: Entity) -> Judgement:
    """Count everything about a treated batch in one pass."""
    content = silver_columns(entity)
    kept = F.col(FATE) == "kept"
    moments = [name for name in entity.columns if ZONED + name in df.columns]
    ranged = [name for name in entity.key if _can_skip(df, name)]
    numbers = df.agg(
        F.count(F.lit(1)).alias("rows_in"),
        *[F.count_if(F.col(FATE) == fate).alias(f"fate.{fate}") for fate in FATES],
        F.count_if(~F.col(IS_DROPPED)).alias("checked"),
        *[F.count_if(_breaks(rule)).alias(f"rule.{rule.name}") for rule in entity.rules],
        *[F.count(F.col(f"`{name}`")).alias(f"present.{name}") for name in content],
        *[
            F.count_if(F.col(f"`{ZONED}{name}`") >= NOT_SAID).alias(f"zoned.{name}")
            for name in moments
        ],
        *[
            F.count_if(F.col(f"`{ZONED}{name}`") == TWICE).alias(f"twice.{name}")
            for name in moments
        ],
        *[F.min(F.when(kept, _plain(df, name))).alias(f"least.{name}") for name in ranged],
        *[F.max(F.when(kept, _plain(df, name))).alias(f"most.{name}") for name in ranged],
    ).head()
    assert numbers is not None  # an aggregate without groups is one row
    return Judgement(
        rows_in=numbers["rows_in"],
        fates={fate: numbers[f"fate.{fate}"] for fate in FATES},
        rules=[
            RuleResult(r.name, r.severity, r.check, numbers["checked"], numbers[f"rule.{r.name}"])
            for r in entity.rules
        ],
        empty=[name for name in content if numbers["rows_in"] and not numbers[f"present.{name}"]],
        zoned={
            name: (numbers[f"zoned.{name}"], numbers[f"twice.{name}"])
            for name in moments
            if numbers[f"zoned.{name}"]
        },
        key_ranges={
            name: (least, most)
            for name in ranged
            if (least := _literal(df, name, numbers[f"least.{name}"])) is not None
            and (most := _literal(df, name, numbers[f"most.{name}"])) is not None
        },
    )


def prune_condition(judgement: Judgement) -> str | None:
    """Return a condition over `target` that every match of a kept row fulfils."""
    parts = [
        f"target.`{name}` >= {least} AND target.`{name}` <= {most}"
        for name, (least, most) in judgement.key_ranges.items()
    ]
    return " AND ".join(parts) or None


def count_reasons(df: DataFrame) -> dict[str, int]:
    """Return how many quarantined rows carry each reason."""
    bad = df.where(F.col(FATE) == "quarantined").select(F.explode(REASONS).alias("reason"))
    return {row["reason"]: row["count"] for row in bad.groupBy("reason").count().collect()}


def refusal(df: DataFrame, name: str, entity: Entity, judgement: Judgement) -> str | None:
    """Return what to say of the broken rules of severity `fail`; None where none refuses."""
    if not judgement.fates["refused"]:
        return None
    said = []
    results = {result.rule: result for result in judgement.rules}
    for rule in entity.rules:
        if rule.severity != "fail" or not results[rule.name].broken:
            continue
        examples = _examples(df, entity.key, rule)
        if examples:
            said.append(
                f"rule '{rule.name}' of entity '{name}' (severity fail) is broken by "
                f"{results[rule.name].broken:,} of {results[rule.name].checked:,} new rows: "
                f"`{rule.check}`; for example {'; '.join(examples)}"
            )
    return "\n".join(said)


def _examples(df: DataFrame, key: Sequence[str], rule: Rule) -> list[str]:
    rows = df.where((F.col(FATE) == "refused") & _breaks(rule)).orderBy(*ORDER).limit(_EXAMPLES)
    names = [F.col(f"`{name}`").cast("string").alias(name) for name in key]
    return [
        ", ".join(f"{name}={row[name]}" for name in key) for row in rows.select(*names).collect()
    ]


def _breaks(rule: Rule) -> Column:
    return ~F.col(IS_DROPPED) & F.array_contains(BROKEN, rule.name)


def _can_skip(df: DataFrame, name: str) -> bool:
    """Tell whether Delta keeps least and greatest values of such a column for each file."""
    kind = df.schema[name].dataType.typeName()
    return kind in ("date", "timestamp", "string", "byte", "short", "integer", "long")


def _plain(df: DataFrame, name: str) -> Column:
    """Return the column; times and days as numbers, which no time zone of Python's changes."""
    column = F.col(f"`{name}`")
    match df.schema[name].dataType.typeName():
        case "timestamp":
            return F.unix_micros(column)
        case "date":
            return F.unix_date(column)
    return column


def _literal(df: DataFrame, name: str, value: Any) -> str | None:
    """Return SQL's literal for a value of `_plain`; None where Python's calendar ends."""
    if value is None:
        return None
    try:
        match df.schema[name].dataType.typeName():
            case "timestamp":
                at = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=value)
                return f"TIMESTAMP '{at.isoformat(sep=' ')}+00:00'"
            case "date":
                return f"DATE '{(dt.date(1970, 1, 1) + dt.timedelta(days=value)).isoformat()}'"
            case "string":
                escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                return f"'{escaped}'"
    except OverflowError:
        return None
    return f"CAST({value} AS bigint)"
