"""Which features a column becomes, or why it is left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.profiling.facts import share
from pipelines.profiling.roles import is_code, is_id
from pipelines.profiling.types import Typed

FEW_VALUES = 12
"""Different whole numbers up to which a number is a category as well."""
MOST_WORDS = 1000
"""Different texts up to which a vocabulary is fitted; more are hashed."""
_NEARLY_ALL = 0.5
_SENTENCE = 18
"""Letters that texts have on average from which they are sentences, if nearly all differ."""
_SKEWED = 20
_ITEMS = 16
"""Items of a list that the model sees."""


@dataclass(frozen=True)
class Chosen:
    """A feature: its settings, the SQL of its raw column over silver's, and why."""

    name: str
    settings: dict[str, Any]
    sql: str
    """Expression; the raw column is called `column` of the settings, or as the feature."""
    why: str

    @property
    def column(self) -> str:
        """The raw column's name."""
        return str(self.settings.get("column", self.name))


@dataclass(frozen=True)
class LeftOut:
    """A column that becomes no feature, and why."""

    name: str
    why: str


def features_of(
    name: str, one: Typed, *, is_date: bool = False, same_as: str = ""
) -> list[Chosen] | LeftOut:
    """Return the features of a column called `name` in silver.

    `is_date` says that it dates the rows; `same_as` names a column that holds the same.
    """
    column = one.column
    if column.present == 0 or one.present <= 0:
        return LeftOut(name, "empty")
    if column.is_constant:
        return LeftOut(name, "the same value in all rows")
    if same_as:
        return LeftOut(name, f"the same as {same_as} in every row")
    if one.unclear:
        return LeftOut(name, f"days of unclear order: {one.unclear}")
    if column.is_taken_apart:
        return LeftOut(name, "objects: their values are columns of their own")
    if items := column.items:
        return [_items(name, one, items)]
    if column.is_nested:
        return LeftOut(name, f"{column.kind}: derive plain values from it in features.sql")
    if one.is_moment:
        return list(_parts(name, one, is_date))
    if one.is_number:
        return list(_numbers(name, one))
    if one.is_truth:
        return [Chosen(name, {"kind": "category"}, quoted(name), "yes or no")]
    return _texts(name, one)


def quoted(name: str) -> str:
    """Return a column's name as SQL has it."""
    return f"`{name}`"


def _numbers(name: str, one: Typed) -> Iterator[Chosen]:
    if is_id(name) and one.distinct > _NEARLY_ALL * one.present:
        return
    settings: dict[str, Any] = {"kind": "numeric"}
    why = f"{one.distinct:,} different numbers"
    numbers = one.numbers
    if numbers is not None:
        why = f"{numbers.least:.6g} to {numbers.largest:.6g}, median {numbers.median:.6g}"
        width = numbers.three_quarters - numbers.quarter
        if numbers.least >= 0 and numbers.high - numbers.median > _SKEWED * max(width, 1e-9) / 2:
            settings["log1p"] = True
            why += "; a long tail, so by its logarithm"
    if one.column.rows > one.present:
        settings["missing_flag"] = True
        why += f"; {share(one.column.rows - one.present, one.column.rows)} missing"
    yield Chosen(name, settings, quoted(name), why)
    if one.is_whole and one.column.is_exact and 3 <= one.distinct <= FEW_VALUES:
        text = f"CAST({quoted(name)} AS STRING)"
        said = f"its {one.distinct} values by themselves, too"
        yield Chosen(f"{name}_value", {"kind": "category"}, text, said)


def _texts(name: str, one: Typed) -> list[Chosen] | LeftOut:
    differing = f"{one.distinct:,} different texts in {one.present:,} rows"
    if one.distinct > _NEARLY_ALL * one.present:
        if one.column.mean_length >= _SENTENCE and not is_id(name):
            return list(_sentences(name, one))
        return LeftOut(name, f"nearly each row has its own ({differing}): nothing to learn from")
    settings: dict[str, Any] = {"kind": "category", "min_count": 2 if one.column.rows < 2000 else 5}
    if one.distinct > MOST_WORDS or (is_code(name) and one.distinct > MOST_WORDS):
        settings = {"kind": "hashed", "buckets": min(2**14, 1 << (one.distinct - 1).bit_length())}
    return [Chosen(name, settings, quoted(name), differing)]


def _sentences(name: str, one: Typed) -> Iterator[Chosen]:
    text = quoted(name)
    why = f"text of {one.column.mean_length:.0f} letters on average"
    length = f"CAST(length({text}) AS INT)"
    yield Chosen(f"{name}_length", {"kind": "numeric"}, length, f"{why}: its length")
    words = f"split(lower({text}), '[^\\\\p{{L}}0-9]+')"
    settings = {"kind": "sequence", "length": 32, "buckets": 1024}
    yield Chosen(f"{name}_words", settings, words, f"{why}: its first words, hashed")


def _items(name: str, one: Typed, items: str) -> Chosen:
    """Return the feature of a list."""
    is_array = one.column.kind.startswith("array<")
    text = quoted(name) if is_array else f"from_json({quoted(name)}, 'array<{items}>')"
    settings: dict[str, Any] = {"kind": "sequence", "length": _ITEMS, "buckets": 512}
    if items == "double":
        settings = {"kind": "array", "length": _ITEMS, "mask": True}
    said = "numbers" if items == "double" else "texts"
    return Chosen(f"{name}_items", settings, text, f"lists of {said}: the first {_ITEMS}")


def _parts(name: str, one: Typed, is_date: bool) -> Iterator[Chosen]:
    day = quoted(name)
    month = {"kind": "cyclical", "period": 12}
    yield Chosen(f"{name}_month", month, f"month({day})", "month of the year")
    weekday = f"CAST(dayofweek({day}) AS INT)"
    yield Chosen(f"{name}_weekday", {"kind": "category"}, weekday, "day of the week")
    if one.cast.type != "date":
        hour = {"kind": "cyclical", "period": 24}
        yield Chosen(f"{name}_hour", hour, f"hour({day})", "hour of the day")
    if not is_date:
        days = f"datediff(CAST({day} AS DATE), DATE'2000-01-01')"
        yield Chosen(f"{name}_days", {"kind": "numeric"}, days, "days since 2000")
