"""Chooses what the model sees: features of all columns but those that say nothing or too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.profiling.asked import Columns
from pipelines.profiling.facts import Relation, TableFacts
from pipelines.profiling.features import Chosen, LeftOut, features_of
from pipelines.profiling.plan import Day, Key
from pipelines.profiling.relations import leaks, relations, take_sample
from pipelines.profiling.roles import Label

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Roles:
    """Which columns are label, key and day."""

    label_name: str
    label: Label
    key: Key
    day: Day


@dataclass(frozen=True)
class Inputs:
    """The features; columns that are none, with why; how well each column alone tells the label."""

    features: Sequence[Chosen]
    left_out: Sequence[LeftOut]
    relations: Sequence[Relation] = ()


def choose_inputs(rows: DataFrame, facts: TableFacts, columns: Columns, roles: Roles) -> Inputs:
    """Return the features. Raises UsageError where no column is left to learn from."""
    made, left_out = _by_column(facts, columns, roles)
    looked = {name: columns[name] for name in made if not columns[name].column.is_nested}
    task = roles.label.task
    scores = relations(take_sample(rows, looked, roles.label), task) if made else []
    for name, why in leaks(scores, task).items():
        left_out.append(LeftOut(name, f"a leak: {why}"))
        made.pop(name)
    if not made:
        said = "; ".join(f"{one.name}: {one.why}" for one in left_out[:8])
        raise UsageError(f"no column is left to learn '{roles.label_name}' from: {said}.")
    kept = [one for one in scores if one.feature in made]
    return Inputs([one for some in made.values() for one in some], left_out, kept)


def _by_column(
    facts: TableFacts, columns: Columns, roles: Roles
) -> tuple[dict[str, list[Chosen]], list[LeftOut]]:
    by_bronze = {one.column.name: name for name, one in columns.items()}
    made: dict[str, list[Chosen]] = {}
    left_out: list[LeftOut] = []
    for name, one in columns.items():
        if name == roles.label_name:
            continue
        same = by_bronze.get(facts.same.get(one.column.name, ""), "")
        if roles.key.columns == (name,):
            left_out.append(LeftOut(name, "the key"))
        elif same == roles.label_name:
            left_out.append(LeftOut(name, "a leak: the same as the label in every row"))
        else:
            usable = one.usable(name)
            is_date = roles.day.column == usable
            found = features_of(usable, one, is_date=is_date, same_as=same)
            if isinstance(found, LeftOut):
                left_out.append(replace(found, name=name))
            elif not found:
                left_out.append(LeftOut(name, "an id: nearly each row has its own"))
            else:
                made[name] = found
    return made, left_out
