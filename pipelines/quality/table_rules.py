"""Rules about a table as a whole, judged by the rows that a run is about to write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from pipelines.config.table_rules import (
    Freshness,
    NullShare,
    References,
    RowCount,
    TableRule,
    Unique,
)
from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Outlook:
    """What a table is about to become.

    `new_rows` are to be written (None where nothing has come), `table` gives the table as it will
    be then. `num_new` and `num_before` count the rows delivered now and the time before; where
    several days come at once, `least_and_most` are those of a day. `is_delivery` is false for rows
    that a person put back. `num_table` gives the rows of the table as it is. `as_of` (UTC) is the
    moment to which an age counts, days end in `timezone`. `referred` gives another table as it
    will be.
    """

    name: str
    new_rows: DataFrame | None
    table: Callable[[], DataFrame]
    num_new: int
    num_before: int | None
    least_and_most: tuple[int, int] | None
    is_delivery: bool
    num_table: Callable[[], int | None]
    as_of: dt.datetime | None
    timezone: str
    referred: Callable[[str], DataFrame]


@dataclass(frozen=True)
class TableResult:
    """How one rule fared: `broken` of `checked` rows; what was found and what was expected.

    `example` has the values of one broken row, which may be somebody's: they are said, never kept.
    """

    table: str
    rule: str
    severity: str
    found: str
    expected: str
    is_ok: bool
    checked: int
    broken: int
    example: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what is kept of the result, as plain JSON values: all but the example."""
        kept = asdict(self)
        del kept["example"]  # an erasure finds no value in records of runs
        return kept

    def line(self) -> str:
        """Say what is wrong."""
        example = f" (such as {self.example})" if self.example else ""
        return (
            f"table rule '{self.rule}' of {self.table} (severity {self.severity}): found "
            f"{self.found}{example}; expected {self.expected}"
        )


def end_of_day(date: dt.date, timezone: str) -> dt.datetime:
    """Return the moment (UTC) at which a local day ends."""
    midnight = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), ZoneInfo(timezone))
    return midnight.astimezone(dt.UTC)


def judge_table(rules: Sequence[TableRule], outlook: Outlook) -> list[TableResult]:
    """Judge all rules. Where nothing has come, only `freshness` has something to say."""
    return [
        _JUDGES[type(rule)](rule, outlook)
        for rule in rules
        if isinstance(rule, Freshness) or (outlook.new_rows is not None and _applies(rule, outlook))
    ]


def _applies(rule: TableRule, outlook: Outlook) -> bool:
    return outlook.is_delivery or not (isinstance(rule, RowCount) and rule.of == "new_rows")


def _result(
    rule: TableRule, outlook: Outlook, found: str, expected: str, checked: int, broken: int
) -> TableResult:
    return TableResult(
        table=outlook.name,
        rule=rule.name,
        severity=rule.severity,
        found=found,
        expected=expected,
        is_ok=broken == 0,
        checked=checked,
        broken=broken,
    )


def _row_count(rule: RowCount, outlook: Outlook) -> TableResult:
    if rule.of == "new_rows":
        least, most = outlook.least_and_most or (outlook.num_new, outlook.num_new)
        before, what, then = outlook.num_before, "new rows", "the time before"
    else:
        least = most = outlook.table().count()
        before, what, then = outlook.num_table(), "rows in the table", "its present rows"
    limits: list[tuple[bool, str]] = []
    if rule.min is not None:
        limits.append((least >= rule.min, f"at least {rule.min:,}"))
    if rule.max is not None:
        limits.append((most <= rule.max, f"at most {rule.max:,}"))
    if before and rule.min_ratio is not None:
        said = f"at least {rule.min_ratio:g} times {then} ({before:,})"
        limits.append((least >= rule.min_ratio * before, said))
    if before and rule.max_ratio is not None:
        said = f"at most {rule.max_ratio:g} times {then} ({before:,})"
        limits.append((most <= rule.max_ratio * before, said))
    expected = " and ".join(said for _, said in limits) or "anything: there is no time before"
    is_broken = not all(holds for holds, _ in limits)
    found = f"{least:,} {what}" if least == most else f"{least:,} to {most:,} {what} a day"
    return _result(rule, outlook, found, expected, most, int(is_broken))


def _null_share(rule: NullShare, outlook: Outlook) -> TableResult:
    rows = outlook.table() if rule.of == "table" else outlook.new_rows
    assert rows is not None  # asked only where something has come
    column = F.col(f"`{rule.column}`")
    total, nulls = rows.agg(F.count(F.lit(1)), F.count_if(column.isNull())).head() or (0, 0)
    share = nulls / total if total else 0.0
    return _result(
        rule,
        outlook,
        f"{nulls:,} of {total:,} rows ({share:.2%}) without '{rule.column}'",
        f"at most {rule.max:.2%}",
        total,
        nulls if share > rule.max else 0,
    )


def _freshness(rule: Freshness, outlook: Outlook) -> TableResult:
    rows = outlook.table()
    kind = rows.schema[rule.column].dataType.typeName()
    if kind not in ("date", "timestamp", "timestamp_ntz"):
        raise SettingsError(
            f"table rule '{rule.name}' of {outlook.name}: '{rule.column}' is of type {kind}; "
            "expected a date or a timestamp"
        )
    column = F.col(f"`{rule.column}`")
    moment = column
    if kind == "date":
        # A day lasts until its end, where the pipeline is at home.
        moment = F.to_utc_timestamp(F.date_add(column, 1), outlook.timezone)
    newest, total = rows.agg(
        F.unix_micros(F.max(moment).cast("timestamp")), F.count(F.lit(1))
    ).head() or (None, 0)
    expected = f"a value of '{rule.column}' at most {rule.max_hours:g} hours old"
    if newest is None or outlook.as_of is None:
        found = "no value" if newest is None else "no delivery to count from"
        return _result(rule, outlook, found, expected, total, int(newest is None))
    newest_at = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=newest)
    hours = (outlook.as_of - newest_at).total_seconds() / 3600
    found = (
        f"the newest at {newest_at:%Y-%m-%d %H:%M} UTC, {max(hours, 0.0):,.1f} hours before "
        f"{outlook.as_of:%Y-%m-%d %H:%M} UTC"
    )
    return _result(rule, outlook, found, expected, total, int(hours > rule.max_hours))


def _unique(rule: Unique, outlook: Outlook) -> TableResult:
    assert outlook.new_rows is not None  # asked only where something has come
    columns = [F.col(f"`{name}`") for name in rule.columns]
    new = outlook.new_rows.select(*columns).dropna().distinct()
    # Only values that come now can be doubled now.
    there = outlook.table().select(*columns).join(new, on=list(rule.columns), how="left_semi")
    doubled = there.groupBy(*columns).count().where("`count` > 1").orderBy(*columns)
    groups, rows = doubled.agg(F.count(F.lit(1)), F.sum("count")).head() or (0, 0)
    found = f"{groups:,} values in {rows:,} rows" if groups else "no value twice"
    expected = f"({', '.join(rule.columns)}) of no two rows alike"
    result = _result(rule, outlook, found, expected, outlook.num_new, rows or 0)
    return replace(result, example=_example(doubled.drop("count"))) if groups else result


def _references(rule: References, outlook: Outlook) -> TableResult:
    assert outlook.new_rows is not None  # asked only where something has come
    columns = list(rule.columns)
    mine = outlook.new_rows.select(*[F.col(f"`{name}`") for name in columns]).dropna()
    pairs = zip(rule.their_columns, columns, strict=True)
    theirs = outlook.referred(rule.table).select(
        *[F.col(f"`{name}`").alias(f"_their_{n}") for n, (name, _) in enumerate(pairs)]
    )
    agrees: Column = F.lit(True)
    for n, name in enumerate(columns):
        agrees &= F.col(f"`{name}`") == F.col(f"_their_{n}")
    lost = mine.join(theirs, agrees, "left_anti")
    total = mine.count()
    broken = lost.count()
    allowed = f" but for {rule.max_share:.2%}" if rule.max_share else ""
    result = _result(
        rule,
        outlook,
        f"{broken:,} of {total:,} rows that are not in {rule.table}",
        f"({', '.join(columns)}) of every row in {rule.table}{allowed}",
        total,
        broken if broken > rule.max_share * total else 0,
    )
    return replace(result, example=_example(lost.orderBy(*columns))) if broken else result


def _example(rows: DataFrame) -> str:
    (row,) = rows.head(1)
    return ", ".join(f"{name}={value}" for name, value in row.asDict().items())


_JUDGES: dict[type, Callable[[Any, Outlook], TableResult]] = {
    RowCount: _row_count,
    NullShare: _null_share,
    Freshness: _freshness,
    Unique: _unique,
    References: _references,
}
