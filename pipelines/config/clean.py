"""Settings of `clean`: how bronze rows become typed silver rows or quarantined ones."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.columns import Column
from pipelines.config.names import TableName
from pipelines.config.sql_text import Expression
from pipelines.config.table_rules import TableRule
from pipelines.errors import nearest
from pipelines.settings import Names, Settings

Severity = Literal["warn", "quarantine", "fail"]


class Rule(Settings):
    """An expectation on silver rows."""

    name: str = Field(pattern=r"^\w+$")
    check: Expression
    """SQL expression over the silver columns; a row passes unless it is false (null passes)."""
    severity: Severity = "quarantine"
    """warn: count it; quarantine: keep the row out of silver; fail: stop before any write."""


class Entity(Settings):
    """One silver table: `silver.<entity>` and `quarantine.<entity>`."""

    source: str
    """Source whose bronze rows it is made from."""
    key: Names
    columns: dict[str, Column]
    null_values: tuple[str, ...] | None = None
    """Texts that mean a missing value, in all columns that don't name their own."""
    derive: dict[str, Expression] = Field(default_factory=dict)
    """Further columns as SQL expressions over the columns above, in order. A row in which one
    can't be evaluated is quarantined with `derive:<column>`."""
    rules: tuple[Rule, ...] = ()
    table_rules: tuple[TableRule, ...] = ()
    """Expectations on the table as a whole, judged by what a run is about to write."""
    max_quarantined: float = Field(default=0.5, ge=0, le=1)
    """Share of a run's new rows that may be put into quarantine; beyond it the run ends with exit
    code 3, after everything is written. From 20 such rows on; fewer are too many only where nothing
    good came of the run, or has come of the entity yet. 1 allows all."""
    delete_when: Expression | None = None
    """SQL condition on the newest row of a key: true removes the key from silver."""
    cluster_by: tuple[str, ...] = ()
    """Columns by which a new silver table is clustered."""

    @model_validator(mode="before")
    @classmethod
    def _columns_take_null_values(cls, data: Any) -> Any:
        given = data.get("null_values") if isinstance(data, dict) else None
        columns = data.get("columns") if isinstance(data, dict) else None
        if given is None or not isinstance(columns, dict):
            return data
        own = {
            name: {"null_values": given, **column} if isinstance(column, dict) else column
            for name, column in columns.items()
        }
        return {**data, "columns": own}

    @model_validator(mode="after")
    def _names_are_free_and_known(self) -> Entity:
        flags = [f"{c}_is_missing" for c, s in self.columns.items() if s.missing.action == "flag"]
        flags += [
            f"{c}_is_outlier"
            for c, s in self.columns.items()
            if s.outliers is not None and s.outliers.action == "flag"
        ]
        silver = [*self.columns, *flags, *self.derive]
        for name in silver:
            if name.startswith("_"):
                raise ValueError(f"column '{name}': names with a leading `_` are tidemill's own")
            if silver.count(name) > 1:
                raise ValueError(f"column '{name}' is made twice (columns, flags and derive)")
        rules = [rule.name for rule in (*self.rules, *self.table_rules)]
        for name in rules:
            if rules.count(name) > 1:
                raise ValueError(f"two rules are named '{name}'")
        for rule in self.table_rules:
            for name in rule.named_columns:
                if name not in silver:
                    raise ValueError(
                        f"table rule '{rule.name}' names '{name}', which is no column of the "
                        f"entity.{nearest(name, silver)}"
                    )
        for name in self.cluster_by:
            if name not in silver:
                raise ValueError(f"`cluster_by` names '{name}'.{nearest(name, silver)}")
        for name, column in self.columns.items():
            date = column.outliers.date_column if column.outliers else None
            if date is not None and date not in silver:
                raise ValueError(
                    f"`columns.{name}.outliers.date_column` names '{date}', which is no column of "
                    f"the entity.{nearest(date, silver)}"
                )
        return self


class Clean(Settings):
    """Settings of the stage `clean`."""

    entities: dict[TableName, Entity]
