"""Which settings would read a text that a column's type can't: said beside the example. Pure."""

from __future__ import annotations

import datetime as dt
import re

from pipelines.config.columns import Column
from pipelines.config.formats import SAMPLES, marks_of

_MISSING = frozenset(
    [
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "?",
        "k.a.",
        "unknown",
        "\\n",
    ]
)
_DAYS = {  # Spark's pattern, how it looks, and Python's pattern
    "d.M.yyyy": (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    "d.M.yy": (r"\d{1,2}\.\d{1,2}\.\d{2}", "%d.%m.%y"),
    "d/M/yyyy": (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    "M/d/yyyy": (r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y"),
    "yyyy/M/d": (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    "yyyyMMdd": (r"\d{8}", "%Y%m%d"),
    "yyyy-M-d": (r"\d{4}-\d-\d{1,2}|\d{4}-\d{1,2}-\d", "%Y-%m-%d"),
    "yyyy-MM-dd": (r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d"),
}
_HOURS = {
    "": ("", ""),
    " HH:mm": (r" \d{2}:\d{2}", " %H:%M"),
    " HH:mm:ss": (r" \d{2}(:\d{2}){2}", " %H:%M:%S"),
}


def reading(text: str, name: str, column: Column) -> str:
    """Return what to set so that `text` is read in the column `name`; empty where nothing is known.

    Of forms that say two things (`3/4/2024`, `1,234`) both are named: which one is meant can't be
    seen in a value.
    """
    plain = text.strip()
    if plain.lower() in _MISSING:
        return f"`null_values: ['', '{plain}']` takes it for a missing value"
    if column.is_numeric:
        return _numbers(plain, column)
    if column.type in ("date", "timestamp"):
        return _times(plain, column)
    if column.type == "boolean":
        return f"declare it as string and derive from it: `{name} = '{plain}'`"
    return ""


def _numbers(text: str, column: Column) -> str:
    if column.patterns:
        behind = f"{column.patterns[0]}-"
        return f"`format: {behind!r}` reads it, too" if _looks_like(text, behind) else ""
    if re.fullmatch(r"[+-]?\d*\.?\d*", text, re.ASCII):
        return ""
    found: dict[str, str] = {}
    for sample in SAMPLES:
        sample += "-" * text.endswith("-")
        if _looks_like(text, sample):
            found.setdefault(_value(text, sample), sample)
    if column.is_integer:
        found = {value: one for value, one in found.items() if re.fullmatch(r"[^.]+(\.0*)?", value)}
    said = " or ".join(map(repr, list(found.values())[:2]))
    return f"`format: {said}` reads it, if numbers are written so" if found else ""


def _looks_like(text: str, sample: str) -> bool:
    marks = marks_of(sample)
    if marks is None:
        return False
    whole = rf"([1-9]\d{{0,2}}([{marks.groups}]\d{{3}})+|\d+)" if marks.groups else r"\d+"
    number = rf"{whole}({re.escape(marks.decimal)}\d*)?"
    signed = f"{number}-" if marks.is_minus_behind else f"[+-]?{number}"
    return re.fullmatch(signed, text, re.ASCII) is not None


def _value(text: str, sample: str) -> str:
    marks = marks_of(sample)
    assert marks is not None  # of a sample of `SAMPLES`
    signs = dict.fromkeys(marks.groups) | {marks.decimal: ".", "-": None}
    return text.translate(str.maketrans(signs))


def _times(text: str, column: Column) -> str:
    is_date = column.type == "date"
    found = [
        day + hour
        for day, (looks, python) in _DAYS.items()
        for hour, (more, clock) in _HOURS.items()
        if re.fullmatch(f"({looks}){more}", text, re.ASCII) and _is_time(text, python + clock)
    ]
    is_midnight = re.search(r" 00:00(:00)?$", text) is not None
    if is_date and any("HH" in one for one in found) and not is_midnight:
        return "it has a time of day: declare it as timestamp, and derive the date from it"
    if not column.patterns:
        found = [one for one in found if not one.startswith("yyyy-MM-dd")]
        said = " or ".join(f"`format: {one}`" for one in found)
        return f"{said} reads it" if found else ""
    more = [one for one in found if one not in column.patterns][:1]
    return f"`format: [{', '.join([*column.patterns, *more])}]` reads it, too" if more else ""


def _is_time(text: str, pattern: str) -> bool:
    try:
        dt.datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True
