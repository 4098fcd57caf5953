"""`format` of a column: the pattern of its days and times, or the look of its numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipelines.config.date_patterns import check_pattern
from pipelines.errors import nearest

_ZONE_LETTERS = frozenset("VzOXxZ")
_SAMPLE = re.compile(r"1(?P<group>[., '\u2019\u00a0\u202f]?)234(?P<decimal>[.,])56(?P<minus>-?)")
SAMPLES = ("1.234,56", "1,234.56", "1234,56", "1 234,56", "1'234.56", "1234.56")
# What people type for one another: blanks that break no line, and the curved apostrophe.
_ALIKE = (" \u00a0\u202f", "'\u2019")


class Marks(NamedTuple):
    """The signs that may stand between thousands (none: nothing may), and before the fraction."""

    groups: str
    decimal: str
    is_minus_behind: bool = False
    """Whether a minus may stand behind the number (`12,50-`), in place of one before it."""


def marks_of(sample: str) -> Marks | None:
    """Return the marks by which a sample writes 1234.56; None where it writes something else."""
    found = _SAMPLE.fullmatch(sample)
    if found is None or found["group"] == found["decimal"]:
        return None
    group = found["group"]
    alike = next((signs for signs in _ALIKE if group and group in signs), group)
    return Marks(alike, found["decimal"], bool(found["minus"]))


def letters_of(pattern: str) -> str:
    """Return the letters of a date pattern that stand for something: those outside of quotes."""
    return "".join(re.findall(r"[A-Za-z]", re.sub(r"'[^']*'", "", pattern)))


def says_zone(pattern: str) -> bool:
    """Tell whether a date pattern of Spark reads a zone or an offset."""
    return bool(_ZONE_LETTERS & set(letters_of(pattern)))


def check_format(given: str | tuple[str, ...], kind: str, *, is_number: bool) -> None:
    """Raise ValueError where `format` can't be that of a column of the type `kind`."""
    patterns = (given,) if isinstance(given, str) else given
    if is_number:
        _check_sample(patterns)
    elif kind not in ("date", "timestamp"):
        raise ValueError(f"`format` is for dates, timestamps and numbers; the type is '{kind}'")
    if not patterns:
        raise ValueError("`format: []` names no pattern; leave it out for ISO 8601")
    if not is_number:
        for pattern in patterns:
            check_pattern(pattern)
        if len({says_zone(pattern) for pattern in patterns}) > 1:
            raise ValueError(
                f"`format: [{', '.join(patterns)}]` reads an offset by one pattern and none by "
                "another; expected all of them to have it, or none"
            )


def _check_sample(patterns: tuple[str, ...]) -> None:
    if len(patterns) == 1 and marks_of(patterns[0]) is not None:
        return
    given = ", ".join(patterns)
    raise ValueError(
        f"`format: {given}` doesn't say how numbers are written; expected 1234.56 as it would "
        f"stand in the files: one of {', '.join(SAMPLES)}, with a `-` behind it where that is how "
        f"negative numbers end.{nearest(given, list(SAMPLES))}"
    )
