"""Settings of rules about a table as a whole: how many rows, how fresh, which values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.settings import Names, Settings

Scope = Literal["new_rows", "table"]


class _TableRule(Settings):
    name: str = Field(pattern=r"^\w+$")
    severity: Literal["warn", "fail"] = "warn"
    """warn: say and record it; fail: stop before any write."""

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns of the table that the rule is about."""
        return ()


class RowCount(_TableRule):
    """So many rows are expected, by themselves or against the time before."""

    check: Literal["row_count"]
    of: Scope = "new_rows"
    """`new_rows` are compared with those of the delivery before (of features: each day's with those
    of the last day before all of them), the rows of the `table` with those that it has now."""
    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    min_ratio: float | None = Field(default=None, ge=0)
    """At least so many times the rows of the time before; passes where there is no such time."""
    max_ratio: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_a_limit(self) -> RowCount:
        if all(one is None for one in (self.min, self.max, self.min_ratio, self.max_ratio)):
            raise ValueError("`check: row_count` needs `min`, `max`, `min_ratio` or `max_ratio`")
        return self


class NullShare(_TableRule):
    """At most such a share of a column is null."""

    check: Literal["null_share"]
    column: str
    max: float = Field(ge=0, lt=1)
    of: Scope = "new_rows"

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns of the table that the rule is about."""
        return (self.column,)


class Freshness(_TableRule):
    """The newest value of a day or time is not too old.

    Its age counts to the end of the run's logical date, or, without one, to the newest delivery:
    the clock has no say. It is looked at also when nothing new has come.
    """

    check: Literal["freshness"]
    column: str
    max_hours: float = Field(gt=0)

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns of the table that the rule is about."""
        return (self.column,)


class Unique(_TableRule):
    """No two rows of the table agree in all these columns; rows with a null among them pass."""

    check: Literal["unique"]
    columns: Names

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns of the table that the rule is about."""
        return self.columns


class References(_TableRule):
    """The values of new rows are found in another table; rows with a null among them pass."""

    check: Literal["references"]
    columns: Names
    table: str = Field(pattern=r"^silver\.\w+$")
    to: Names | None = None
    """That table's columns, where they are called otherwise."""
    max_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of rows that may be without their counterpart."""

    @model_validator(mode="after")
    def _as_many_columns(self) -> References:
        if len(self.their_columns) != len(self.columns):
            raise ValueError(
                f"`columns` {list(self.columns)} and `to` {list(self.their_columns)} differ in "
                "number"
            )
        return self

    @property
    def their_columns(self) -> tuple[str, ...]:
        """The other table's columns."""
        return self.to or self.columns

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns of the table that the rule is about."""
        return self.columns


TableRule = Annotated[
    RowCount | NullShare | Freshness | Unique | References, Field(discriminator="check")
]
"""A rule about a table, told by its `check`."""
