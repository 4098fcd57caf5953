"""Settings of `featurize`: raw feature values, one row per key and date."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipelines.config.names import PathBelow, TableName
from pipelines.config.sql_text import Expression
from pipelines.config.table_rules import TableRule
from pipelines.errors import nearest
from pipelines.settings import Names, Settings


def _as_pairs(value: Any) -> Any:
    names = (value,) if isinstance(value, str) else value
    return {name: name for name in names} if isinstance(names, (list, tuple)) else names


class SourceDays(Settings):
    """Which days of the features a changed row of a table touches: by `date`, or `through` another.

    A row that was there before a change counts as well as the one after it.
    """

    date: Expression | None = None
    """SQL expression over the table's columns: the first day that the row touches. Where it gives
    no day, all days are made again."""
    through: str | None = None
    """Another table of `sources` that has a `date`: the days are those of its rows that carry the
    changed row's value in `by`. For tables without a day of their own (`silver.planes`)."""
    by: Annotated[
        dict[str, str],
        BeforeValidator(_as_pairs, json_schema_input_type=str | tuple[str, ...] | dict[str, str]),
    ] = Field(default_factory=dict)
    """With `through`: the column that both have, or {column here: column there}."""
    lookback: int = Field(0, ge=0)
    """Days after that first one which the row can touch as well: how far the queries look back."""

    @model_validator(mode="after")
    def _one_way(self) -> SourceDays:
        if (self.date is None) == (self.through is None):
            raise ValueError(
                "a table's changes are mapped to days either by `date` or `through` another table; "
                "or write `all`: any change then makes all days again"
            )
        if (self.through is None) != (not self.by):
            raise ValueError("`through` and `by` go together")
        return self


class Featurize(Settings):
    """Settings of the stage `featurize`, which writes `gold.<table>`."""

    table: TableName
    sql: tuple[PathBelow, ...] = ()
    """SQL files in the pipeline's folder, run in order. All but the last define a view of the
    file's name for those that follow; the last one gives the feature rows. They know `:since` and
    `:until`, the first and last day asked for, and `:timezone`, the pipeline's."""
    function: str | None = None
    """`module:function(tables, since, until) -> DataFrame`, instead of `sql`. `tables` maps the
    names in `reads` to DataFrames; `since` and `until` are the first and last day asked for."""
    reads: dict[str, Expression]
    """Silver tables the queries may read, each with an SQL expression for the time at which its
    rows were available. Names are as in the queries, `silver.flights`."""
    key: Names
    date: str
    """Column with the local day a row belongs to; the table is partitioned by it."""
    prediction_at: str = "prediction_at"
    """Column with the moment (UTC) up to which a row may know things."""
    label: str | None = None
    """Column with the target; null where not (yet) known."""
    sources: dict[str, SourceDays | Literal["all"]] = Field(default_factory=dict)
    """For each table of `reads`, which days a change in it touches: `{date, lookback}`,
    `{through, by, lookback}`, or `all`. With it, days that were made before are made again as soon
    as what they came from changes (late, corrected or deleted rows, by Delta's change feed), and a
    run without a date makes only such days and new ones. Without it, a run with a date makes just
    the days asked for, and one without makes all days anew."""
    label_days: int = Field(0, ge=0)
    """Days after which a row's label is known at the latest. The daily DAG makes the rows of that
    many days again, so that their labels reach the table."""

    table_rules: tuple[TableRule, ...] = ()
    """Expectations on the rows that a run is about to write. `references` may name tables that
    are in `reads`."""

    @property
    def grain(self) -> tuple[str, ...]:
        """What makes a row one: key and date. Every join on rows goes by it, none by the key."""
        return tuple(dict.fromkeys([*self.key, self.date]))

    @field_validator("sql")
    @classmethod
    def _files_are_the_pipelines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name.startswith(("/", "~")) or ".." in re.split(r"[/\\]", name):
                raise ValueError(f"'{name}' leads out of the pipeline's folder; give a file in it")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Featurize:
        if bool(self.sql) == bool(self.function):
            raise ValueError("`featurize` needs either `sql` or `function`, not both")
        return self

    @model_validator(mode="after")
    def _every_table_has_days(self) -> Featurize:
        if not self.sources:
            return self
        for table in self.sources:
            if table not in self.reads:
                raise ValueError(
                    f"`featurize.sources` names '{table}', which is not in `featurize.reads`."
                    f"{nearest(table, list(self.reads))}"
                )
        unseen = [table for table in self.reads if table not in self.sources]
        if unseen:
            raise ValueError(
                f"`featurize.sources` lacks {unseen}, which `featurize.reads` has: changes in them "
                "would go unseen. Say which days they touch, or write `all`"
            )
        for table, source in self.sources.items():
            if source == "all" or source.through is None:
                continue
            there = self.sources.get(source.through)
            if there is None or there == "all" or there.date is None:
                dated = [n for n, s in self.sources.items() if s != "all" and s.date is not None]
                raise ValueError(
                    f"`featurize.sources.{table}.through: {source.through}` is no table of "
                    f"`featurize.sources` with a `date`; those are {dated}."
                    f"{nearest(source.through, dated)}"
                )
        return self
