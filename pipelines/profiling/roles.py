"""Which columns are key, date and label, by their names and by what they hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.profiling.types import Typed

_ID = re.compile(
    r"(^|_)(id|ids|key|uuid|guid|nr|no|num|number|code|nummer|kennung|index|rownames|rowid)$"
)
_CODE = re.compile(
    r"(^|_)(id|uuid|guid|nr|code|zip|plz|postcode|postal|phone|tel|iban|ean|isbn|sku)($|_)"
)
_BIRTH = re.compile(r"birth|born|dob|geburt|geb(_|$)")
_DAY = re.compile(
    r"(^|_)(date|day|datum|tag|time|timestamp|at|on|ts|created|ordered|month|jour|fecha)($|_)"
)
_LABELS = (
    *(
        "label",
        "target",
        "y",
        "class",
        "outcome",
        "churn",
        "churned",
        "bought",
        "survived",
        "default",
    ),
    *("converted", "fraud", "is_fraud", "response", "diagnosis", "species", "price", "result"),
)
_YES = ("yes", "true", "y", "t", "1", "ja", "j", "oui", "si", "sí", "sim", "da", "positive", "pos")
_TRUE = ("true", "t", "yes", "y", "1")
MOST_CLASSES = 100
FEW_NUMBERS = 10
"""Different whole numbers up to which a label of them is taken for classes."""


@dataclass(frozen=True)
class Label:
    """The column to predict: `task` is binary, classes or number; `classes` are its values."""

    typed: Typed
    task: str
    classes: tuple[str, ...] = ()
    """By number: of a yes or no, the no first."""
    counts: tuple[int, ...] = ()
    """Rows of each class."""
    why: tuple[str, ...] = ()


def is_id(name: str) -> bool:
    """Tell whether a plain name says that its values name things."""
    return _ID.search(name) is not None


def is_code(name: str) -> bool:
    """Tell whether a plain name says that its digits are no quantity."""
    return _CODE.search(name) is not None


def key_candidates(columns: Sequence[tuple[str, Typed]]) -> list[str]:
    """Return the plain names of columns that alone tell rows apart, the likeliest first."""
    alone = [
        (name, one)
        for name, one in columns
        if one.column.rows
        and one.column.is_exact
        and not one.column.missing
        and one.column.distinct == one.column.rows
        and (one.is_text or one.is_whole)
        and one.column.longest <= 64
    ]
    named = [name for name, _ in alone if is_id(name) or is_code(name)]
    first = columns[0][0] if columns else ""
    return [*named, *(name for name, _ in alone if name == first and name not in named)]


def date_candidates(columns: Sequence[tuple[str, Typed]]) -> list[str]:
    """Return the plain names of columns that may date rows, the likeliest first."""
    dated = [
        name
        for name, one in columns
        if one.is_moment
        and not one.column.missing
        and not _BIRTH.search(name)
        and one.column.distinct >= 3
    ]
    return sorted(dated, key=lambda name: _DAY.search(name) is None)


def likely_label(columns: Sequence[tuple[str, Typed]]) -> tuple[str, str] | None:
    """Return the column that is most likely to be predicted, and why."""
    known = {name: one for name, one in columns if _can_be_label(one)}
    for name in _LABELS:
        if name in known:
            return name, "a usual name of what is to be predicted"
    if columns and columns[-1][0] in known and not is_id(columns[-1][0]):
        return columns[-1][0], "the last column"
    two = [name for name, one in known.items() if one.distinct == 2 and not is_id(name)]
    others = two or [name for name in known if not is_id(name)]
    what = "the last column of two values" if two else "the last column that can be one"
    return (others[-1], what) if others else None


def _can_be_label(one: Typed) -> bool:
    column = one.column
    if column.is_nested or column.is_constant or one.is_moment:
        return False
    return one.is_number or 2 <= one.distinct <= min(MOST_CLASSES, column.rows / 5)


def label_of(name: str, one: Typed, positive: str | None = None, task: str | None = None) -> Label:
    """Return what kind of label a column is. Raises ValueError where it is none."""
    values = [text for text, _ in one.values]
    few = one.column.is_exact and len(values) == one.distinct > 0
    if one.distinct < 2:
        raise ValueError(
            f"'{name}' has {one.distinct} different values; a label needs two at least: name "
            "another column"
        )
    if one.is_moment or one.column.is_nested:
        raise ValueError(f"'{name}' is {one.cast.type}; expected words, yes and no, or numbers")
    if task == "number" or (task is None and one.is_number and not _are_classes(one)):
        if not one.is_number:
            raise ValueError(f"'{name}' is text; --task number needs numbers: leave it out")
        return Label(one, "number", why=(f"{one.distinct:,} different numbers",))
    if one.is_truth:
        return _truth(name, one, positive)
    if one.is_number and not _are_classes(one):
        raise ValueError(f"'{name}' has numbers that are no few whole ones: leave --task out")
    if not few or len(values) > MOST_CLASSES:
        raise ValueError(
            f"'{name}' has {one.distinct:,} different values; expected {MOST_CLASSES} classes at "
            "most, or numbers"
        )
    if len(values) > 2:
        if positive is not None:
            raise ValueError(
                f"--positive is for two classes; '{name}' has {len(values)}: leave it out"
            )
        order = sorted(values, key=lambda text: (float(text) if one.is_number else 0.0, text))
        found = dict(one.values)
        counts = tuple(found[text] for text in order)
        return Label(one, "classes", tuple(order), counts, (f"{len(values)} values",))
    return _binary(name, one, positive)


def _are_classes(one: Typed) -> bool:
    """Tell whether a column of numbers is one of few whole ones."""
    values = [text for text, _ in one.values]
    whole = all(re.fullmatch(r"-?\d+(\.0+)?", text) for text in values)
    return whole and one.column.is_exact and 2 <= len(values) <= FEW_NUMBERS


def _binary(name: str, one: Typed, positive: str | None) -> Label:
    (first, _), (second, _) = one.values
    values = (first, second)
    if positive is not None:
        if positive not in values:
            raise ValueError(
                f"--positive {positive}: '{name}' has '{first}' and '{second}': name one of them"
            )
        yes, why = positive, "as asked for"
    elif found := [text for text in values if text.lower() in _YES or text in ("1.0", "true")]:
        yes, why = found[0], "the word for yes"
    else:
        yes, why = second, "the rarer one"
    no = first if yes == second else second
    counts = dict(one.values)
    said = f"1 is '{yes}' ({counts[yes]:,}), {why}; 0 is '{no}' ({counts[no]:,})"
    return Label(one, "binary", (no, yes), (counts[no], counts[yes]), (said,))


def _truth(name: str, one: Typed, positive: str | None) -> Label:
    """Return the label of a column whose type is yes or no, however these are written."""
    if positive is not None and positive.lower() not in _TRUE:
        raise ValueError(
            f"--positive {positive}: '{name}' holds yes and no; leave it out, or turn the label "
            "round in features.sql"
        )
    yes = sum(count for text, count in one.values if text.lower() in _TRUE)
    no = sum(count for _, count in one.values) - yes
    why = f"1 is a yes ({yes:,}), 0 is a no ({no:,})"
    return Label(one, "binary", ("false", "true"), (no, yes), (why,))
