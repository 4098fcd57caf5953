"""Chooses label, day, key and split of a table: as asked for, or by what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError
from pipelines.profiling.asked import Asked, Columns, find_column
from pipelines.profiling.counts import text_of
from pipelines.profiling.facts import DayFacts, TableFacts
from pipelines.profiling.plan import Day, Key, split_by_day, split_by_key
from pipelines.profiling.roles import (
    Label,
    date_candidates,
    is_id,
    key_candidates,
    label_of,
    likely_label,
)
from pipelines.profiling.trials import cast_by
from pipelines.profiling.types import Typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIRS = 4


def choose_label(columns: Columns, asked: Asked) -> tuple[str, Label]:
    """Return the column to predict, and what kind of label it is. Raises UsageError."""
    why = "as asked for"
    if asked.label is not None:
        name = find_column(asked.label, columns, "--label")
    else:
        found = likely_label(list(columns.items()))
        if found is None:
            raise UsageError("no column looks like a label; name what to predict: --label COLUMN.")
        name, why = found
        if asked.choose is not None:
            answer = asked.choose("Which column is to be predicted?", list(columns), name)
            name, why = find_column(answer, columns, "--label"), "as asked for"
    try:
        label = label_of(name, columns[name], asked.positive, asked.task)
    except ValueError as error:
        raise UsageError(f"--label {name}: {error}.") from None
    return name, replace(label, why=(why, *label.why))


def choose_day(columns: Columns, label: str, asked: Asked) -> Day:
    """Return the column that dates rows, if one does. Raises UsageError where it can't be read."""
    if asked.date is None:
        others = [(name, one) for name, one in columns.items() if name != label]
        found = date_candidates(others)
        unclear = [name for name, one in columns.items() if one.unclear]
        if not found:
            said = f"; {unclear[0]} may be one: say --day-first or --month-first" if unclear else ""
            return Day("", False, f"no column has a day in every row{said}")
        name, why = found[0], f"has a day in every row, {columns[found[0]].distinct:,} different"
    else:
        name, why = find_column(asked.date, columns, "--date"), "as asked for"
    one = columns[name]
    if one.unclear:
        raise UsageError(
            f"--date {name}: {one.unclear}, so no value tells day from month. Say --day-first or "
            "--month-first."
        )
    if not one.is_moment:
        dated = ", ".join(other for other, its in columns.items() if its.is_moment)
        raise UsageError(
            f"--date {name}: its values are no days or times "
            f"({'; '.join(one.why) or one.cast.type}). Days are in {dated or 'no column'}."
        )
    return Day(one.usable(name), one.cast.type != "date", why)


def choose_key(
    rows: DataFrame, facts: TableFacts, columns: Columns, day: Day, label: str, asked: Asked
) -> Key:
    """Return what tells rows apart: one column, one and the day, or a hash of the whole row."""
    if asked.key:
        names = tuple(find_column(name, columns, "--key") for name in asked.key)
        return _checked(rows, facts, columns, names, day)
    others = [(name, one) for name, one in columns.items() if name != label]
    if alone := key_candidates(others):
        return Key((alone[0],), f"{facts.rows:,} rows, as many different values, none missing")
    ids = [name for name, one in others if is_id(name) and not one.column.missing]
    for name in ids[:_PAIRS] if day.column in columns else ():
        if _distinct(rows, columns, (name, day.column)) == facts.rows:
            return Key((name, day.column), f"{facts.rows:,} rows, each with a pair of its own")
    twice = facts.rows - facts.distinct_rows
    said = f"{twice:,} rows are there twice and count once" if twice else "all rows differ"
    return Key((), f"no column tells rows apart: a hash of the whole row does; {said}")


def _checked(
    rows: DataFrame, facts: TableFacts, columns: Columns, names: tuple[str, ...], day: Day
) -> Key:
    """Return a key that was asked for, with the day beside it where that tells rows apart."""
    why, found = "as asked for", _distinct(rows, columns, names)
    missing = max(columns[name].column.missing for name in names)
    if missing:
        why += f"; {missing:,} rows without a value go into quarantine"
    if found >= facts.rows - missing:
        return Key(names, f"{why}: {found:,} different in {facts.rows:,} rows")
    if day.column in columns and day.column not in names:
        with_day = (*names, day.column)
        if _distinct(rows, columns, with_day) == facts.rows:
            why += f", and the day: {found:,} different keys in {facts.rows:,} rows"
            return Key(with_day, why)
    why += f"; {found:,} different in {facts.rows:,} rows: of rows with one key the newest counts"
    return Key(names, why)


def _distinct(rows: DataFrame, columns: Columns, names: Sequence[str]) -> int:
    texts = [text_of(columns[name].column).alias(name) for name in names]
    return rows.select(*texts).dropna().distinct().count()


def choose_split(
    rows: DataFrame, columns: Columns, day: Day, label: Label, asked: Asked
) -> tuple[dict[str, Any], str]:
    """Return `normalize.split` and why: by day where rows have one, else by a hash of the key."""
    learned = label.typed.present
    if not day.column:
        if asked.test_from is not None:
            raise UsageError(
                f"--test-from {asked.test_from} needs a column of days; name it: --date COLUMN."
            )
        return split_by_key(learned)
    try:
        return split_by_day(_days(rows, columns, day, label.typed), asked.test_from)
    except ValueError as error:
        if asked.date is not None or asked.test_from is not None:
            raise UsageError(f"no split by {day.column}: {error}.") from None
        split, why = split_by_key(learned)
        return split, f"{why} ({error})"


def _days(rows: DataFrame, columns: Columns, day: Day, label: Typed) -> DayFacts:
    from pyspark.sql import functions as F

    dated = next(one for name, one in columns.items() if day.column in (name, one.usable(name)))
    asked = [(dated.column, dated.cast), (label.column, label.cast)]
    typed_rows = cast_by(rows, asked, with_texts=True)
    is_known = F.col("c1").isNotNull()
    if label.null_values:
        is_known &= ~F.col("t1").cast("string").isin(*label.null_values)
    counted = (
        typed_rows.groupBy(F.col("c0").cast("date").alias("day"))
        .agg(F.count(F.lit(1)).alias("rows"), F.count_if(is_known).alias("labelled"))
        .where("day IS NOT NULL")
    )
    return DayFacts(sorted((row[0], row[1], row[2]) for row in counted.collect()))
