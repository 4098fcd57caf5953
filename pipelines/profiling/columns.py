"""The types of a table's columns: trials by `clean`'s casts until the evidence says no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.profiling.asked import Columns
from pipelines.profiling.casts import Cast
from pipelines.profiling.facts import ColumnFacts, NumberFacts, TableFacts
from pipelines.profiling.names import plain_names
from pipelines.profiling.plan import TAKEN
from pipelines.profiling.roles import is_code, is_id
from pipelines.profiling.trials import number_facts, try_casts, with_unfit
from pipelines.profiling.types import (
    Typed,
    likely,
    more_casts,
    sentinel_texts,
    sentinels,
    typed,
    writes_commas,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def typed_columns(rows: DataFrame, facts: TableFacts, day_first: bool | None) -> Columns:
    """Return each column's type by its name in silver."""
    columns = list(facts.columns)
    commas = writes_commas(columns)

    def not_taking_all() -> dict[str, Cast]:
        found = {one.name: likely(one, commas=commas, day_first=day_first) for one in columns}
        return {
            one.name: found[one.name]
            for one in columns
            if one.is_text and one.trial(found[one.name]).fits < one.present
        }

    wanted = not_taking_all()
    columns = with_unfit(rows, columns, wanted)
    by_name = {one.name: one for one in columns}
    more = {
        name: more_casts(by_name[name], cast)
        for name, cast in wanted.items()
        if not by_name[name].read_by
    }
    if any(more.values()):
        columns = try_casts(rows, columns, {name: some for name, some in more.items() if some})
        columns = with_unfit(rows, columns, not_taking_all())
    names = plain_names([one.name for one in columns], TAKEN)
    found = {names[one.name]: _typed(names[one.name], one, commas, day_first) for one in columns}
    return _with_numbers(rows, found)


def _typed(name: str, column: ColumnFacts, commas: bool, day_first: bool | None) -> Typed:
    """Return a column's type; whole numbers that name things stay the texts that they are."""
    one = typed(column, commas=commas, day_first=day_first)
    is_named = is_code(name) or (is_id(name) and one.distinct > one.present / 2)
    if column.is_text and one.is_whole and is_named:
        return Typed(column, null_values=one.null_values, why=("text: an id by its name",))
    return one


def _with_numbers(rows: DataFrame, columns: Columns) -> Columns:
    """Add the figures of numbers, and numbers that stand for a missing value."""
    wanted = {name: one for name, one in columns.items() if one.is_number and one.column.present}
    asked = [(one.column, one.cast, one.null_values) for one in wanted.values()]
    whole = number_facts(rows, asked)
    marked = [
        (one.column, one.cast, (*one.null_values, *texts))
        for one in wanted.values()
        if (texts := sentinel_texts(one))
    ]
    without = number_facts(rows, marked) if marked else {}
    found = dict(columns)
    for name, one in wanted.items():
        bronze = one.column.name
        if bronze in whole:
            found[name] = _with_figures(one, whole[bronze], without.get(bronze))
    return found


def _with_figures(one: Typed, numbers: NumberFacts, others: NumberFacts | None) -> Typed:
    """Add figures; `others` are those without the values that may mean a missing one."""
    lost = sentinels(one, numbers, others)
    if lost and others is not None:
        range_ = f"{others.least:g} to {others.largest:g}"
        said = f"missing: {', '.join(lost)}, far beyond all others ({range_})"
        one = replace(one, null_values=(*one.null_values, *lost), why=(*one.why, said))
        numbers = others
    is_small = max(abs(numbers.least), abs(numbers.largest)) < 2**31 / 100
    if one.column.is_text and one.cast.type == "bigint" and is_small:
        one = replace(one, cast=replace(one.cast, type="int"))
    return replace(one, numbers=numbers)
