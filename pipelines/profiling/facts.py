"""What was counted in a table, as plain data: the evidence for every choice. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.profiling.casts import TEXT, Cast
from pipelines.profiling.nested import items_type

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")
Counts = tuple[tuple[str, int], ...]
"""Texts with how often each is there, the most frequent first."""


@dataclass(frozen=True)
class NumberFacts:
    """Of the numbers that a cast gives: count, ends, quartiles and moments."""

    count: int
    least: float
    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float
    largest: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class Trial:
    """How many values a cast takes, its ends as texts, and which values it does not take."""

    fits: int
    least: str | None = None
    largest: str | None = None
    unfit: Counts = ()


@dataclass(frozen=True)
class ColumnFacts:
    """Counts of one column of a table, its values as trimmed texts where they are no lists."""

    name: str
    """In bronze."""
    header: str
    """In the files."""
    kind: str
    """Type in bronze; `string` for CSV and JSON."""
    rows: int
    present: int = 0
    """Rows with a value: neither null nor an empty text."""
    distinct: int = 0
    is_exact: bool = False
    """Whether `distinct` was counted, not estimated."""
    least: str | None = None
    largest: str | None = None
    longest: int = 0
    mean_length: float = 0.0
    zeros_before: int = 0
    """Values of digits that begin with a zero that would be lost (`0123`)."""
    long_digits: int = 0
    """Values of more digits than a double holds exactly (over 15)."""
    top: Counts = ()
    """All values with their counts where there are few, else none."""
    sample: tuple[str, ...] = ()
    trials: Mapping[Cast, Trial] = field(default_factory=dict)
    numbers: NumberFacts | None = None
    """Of the cast that was chosen, where it gives numbers."""
    read_by: str = ""
    """Of a value inside an object: SQL over silver that reads it as text. Bronze has no such
    column."""
    is_taken_apart: bool = False
    """Whether it holds objects, whose values are columns of their own."""

    @property
    def items(self) -> str:
        """Type of the items, where it holds lists of numbers or of texts."""
        if self.kind.startswith("array<"):
            inner = self.kind[6:-1]
            is_number = inner in _NUMBERS or inner.startswith("decimal")
            return "double" if is_number else "string" if inner == "string" else ""
        return items_type(self.sample) if self.is_text and self.sample else ""

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.rows - self.present

    @property
    def is_text(self) -> bool:
        """Whether bronze has texts, whose type is still to be found."""
        return self.kind == "string"

    @property
    def is_nested(self) -> bool:
        """Whether bronze has lists, maps, structs or bytes."""
        return self.kind.startswith(("array<", "map<", "struct<")) or self.kind == "binary"

    @property
    def is_constant(self) -> bool:
        """Whether there is one value at most."""
        return not self.is_nested and (self.present == 0 or self.least == self.largest)

    def trial(self, cast: Cast) -> Trial:
        """Return how a cast fared; a text is always one."""
        return Trial(self.present) if cast == TEXT else self.trials.get(cast, Trial(0))


@dataclass(frozen=True)
class TableFacts:
    """Counts of a table. `same` names, for a column, another one that holds just the same."""

    rows: int
    columns: tuple[ColumnFacts, ...]
    malformed: int = 0
    distinct_rows: int = 0
    same: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> ColumnFacts:
        """Return a column by its name in bronze."""
        return next(one for one in self.columns if one.name == name)


@dataclass(frozen=True)
class Relation:
    """How well a column alone tells the label: ROC AUC or R2, on rows that were not fitted on."""

    feature: str
    score: float
    by_missing: float = 0.0
    """The same by nothing but whether it has a value."""


@dataclass(frozen=True)
class DayFacts:
    """Rows by day, those with a label apart."""

    days: Sequence[tuple[dt.date, int, int]]

    @property
    def labelled(self) -> int:
        """Rows with a label."""
        return sum(one for _, _, one in self.days)


def share(part: float, whole: float) -> str:
    """Return a share as people read it."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def shown(values: Counts | Sequence[Any], most: int = 4) -> str:
    """Return some values as they stand in a comment: on one line, short, counts behind them."""
    texts = []
    for one in list(values)[:most]:
        value, count = one if isinstance(one, tuple) else (one, None)
        text = "".join(c if c.isprintable() else " " for c in str(value))
        text = text if len(text) <= 24 else f"{text[:21]}..."
        texts.append(f"'{text}'" + (f" ({count:,})" if count is not None else ""))
    more = ", ..." if len(values) > most else ""
    return ", ".join(texts) + more
