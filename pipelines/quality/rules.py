"""Rules: which rows break which expectation, and how many.

    df = apply_rules(df, rules)
    report = rule_report(df, rules)

Works on any DataFrame; `clean` uses it on rows that are typed and treated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.config.clean import Rule, Severity
from pipelines.errors import SettingsError
from pipelines.quality.expressions import analysed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BROKEN = "_broken"
"""Column array<string>: names of all rules that a row breaks, in the order of the rules."""
REASONS = "_reasons"
"""Column array<string>: why a row is kept out of silver; empty for a good row."""


@dataclass(frozen=True)
class RuleResult:
    """How one rule fared: `checked` rows, `broken` of them."""

    rule: str
    severity: Severity
    check: str
    checked: int
    broken: int

    def to_dict(self, entity: str) -> dict[str, Any]:
        """Return the result as plain JSON values, with the table it is about."""
        return {
            "entity": entity,
            "rule": self.rule,
            "severity": self.severity,
            "checked": self.checked,
            "broken": self.broken,
        }


def apply_rules(df: DataFrame, rules: Sequence[Rule], where: str = "rules") -> DataFrame:
    """Add `_broken`, and the broken rules of severity `quarantine` to `_reasons`.

    As with SQL's CHECK a rule is broken where its expression is false; null passes. A row for
    which the expression can't be evaluated (division by zero, ...) breaks the rule too. Raises
    SettingsError, naming the rule, for an expression that is no condition over these columns.
    """
    if REASONS not in df.columns:
        df = df.withColumn(REASONS, F.array().cast("array<string>"))
    broken = {rule.name: _is_broken(df, rule, where) for rule in rules}
    df = df.withColumn(BROKEN, names_where(broken))
    kept_out = [rule.name for rule in rules if rule.severity == "quarantine"]
    reasons = F.array_intersect(F.array(*map(F.lit, kept_out)).cast("array<string>"), BROKEN)
    return df.withColumn(REASONS, F.concat(REASONS, reasons)) if kept_out else df


def names_where(conditions: dict[str, Column]) -> Column:
    """Return array<string> of the names whose condition holds, in the order given."""
    if not conditions:
        return F.array().cast("array<string>")
    return F.array_compact(
        F.array(*[F.when(holds, F.lit(name)) for name, holds in conditions.items()])
    )


def _is_broken(df: DataFrame, rule: Rule, where: str) -> Column:
    place = f"rule '{rule.name}' in {where}"
    tried = analysed(df, rule.check, place)
    value = tried.getField("v")
    found = df.select(value.alias("v")).schema["v"].dataType
    if not isinstance(found, T.BooleanType | T.NullType):
        raise SettingsError(
            f"{place} is no condition: `{rule.check}` is of type {found.simpleString()}; expected "
            "an expression that is true or false."
        )
    return tried.isNull() | F.coalesce(~value.cast("boolean"), F.lit(False))


def num_broken(rule: Rule) -> Column:
    """Return the aggregate that counts the rows breaking a rule, over what `apply_rules` made."""
    return F.count_if(F.array_contains(BROKEN, rule.name))


def rule_report(df: DataFrame, rules: Sequence[Rule]) -> list[RuleResult]:
    """Count in one pass how the rules fared on what `apply_rules` made."""
    numbers = df.agg(F.count(F.lit(1)), *[num_broken(rule) for rule in rules]).head()
    assert numbers is not None  # an aggregate without groups is one row
    checked, *broken = numbers
    return [
        RuleResult(rule.name, rule.severity, rule.check, checked, count)
        for rule, count in zip(rules, broken, strict=True)
    ]
