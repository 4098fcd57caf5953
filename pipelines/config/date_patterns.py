"""What a date pattern of Spark's must say, so that it reads no other time than the one meant.

A pattern reads whatever its letters make of a text, and takes the first month, midnight or 1970 for
what it does not name. So `yyyy-mm-dd` (minutes for months) and `HH:mm:SS` (fractions for seconds)
would read every text, and each one wrong.
"""

from __future__ import annotations

import re
from collections import Counter

_NEEDS = (
    ("d", "ML", "days (`dd`) and no months; months are `MM`, minutes are `mm`"),
    ("m", "HkhK", "minutes (`mm`) and no hours; months are `MM`, hours are `HH`"),
    ("s", "m", "seconds (`ss`) and no minutes (`mm`); months are `MM`"),
    ("S", "s", "fractions of a second (`S`) and no seconds; seconds are `ss`"),
)
_OFFSETS = frozenset("XxZO")


def check_pattern(pattern: str) -> None:
    """Raise ValueError where a pattern reads texts as other times than those they say."""
    plain = re.sub(r"'[^']*'", "", pattern)
    letters = re.findall(r"[A-Za-z]", plain)
    if not {"y", "u"} & set(letters):
        raise ValueError(f"`format: {pattern}` has no year (`yyyy`); Spark would take 1970")
    if {"h", "K"} & set(letters) and "a" not in letters:
        raise ValueError(
            f"`format: {pattern}` has hours of half a day (`h`, `K`) and doesn't say which "
            "half; expected `HH`, or `a` for am and pm"
        )
    if letters.count("S") > 6:
        raise ValueError(
            f"`format: {pattern}` has more than six digits of a second, which can't be kept; "
            "expected `SSSSSS` at most (without `format`, further digits may be zeros)"
        )
    for letter, needed, said in _NEEDS:
        if letter in letters and not set(needed) & set(letters):
            raise ValueError(f"`format: {pattern}` has {said}")
    _check_once(pattern, plain)
    _check_zone(pattern, set(letters))


def _check_once(pattern: str, plain: str) -> None:
    if "D" in plain and set("MLd") & set(plain):
        raise ValueError(
            f"`format: {pattern}` has days of the year (`D`) beside months or days; days of a "
            "month are `dd`"
        )
    always = re.sub(r"\[[^\]]*\]", "", plain)
    runs = Counter(match[1] for match in re.finditer(r"([A-Za-z])\1*", always))
    twice = [letter for letter, times in runs.items() if times > 1]
    if twice:
        raise ValueError(
            f"`format: {pattern}` has `{twice[0]}` in two places; months are `MM`, minutes `mm`, "
            "seconds `ss`, fractions of one `S`"
        )


def _check_zone(pattern: str, letters: set[str]) -> None:
    if letters & {"z", "v"} or ("V" in letters and not letters & _OFFSETS):
        raise ValueError(
            f"`format: {pattern}` reads a zone by its name, which leaves open what is meant (`IST` "
            "is of India, Israel and Ireland; a clock that is put back shows an hour twice); "
            "expected an offset (`XXX`), or the name between quotes (`'CET'`) and the source's "
            "`timezone`"
        )
