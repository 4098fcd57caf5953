"""Ways to read a column's texts, as `clean` has them, and which of them its values suggest. Pure.

What is suggested here is tried by Spark on all values, with the very casts of `clean`: a suggestion
too many costs time, one too few costs a type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.formats import SAMPLES, marks_of

SHARE = 0.05
"""Of the values looked at, how many must look like a type for it to be tried."""
_DATES = (
    # look, patterns by their order of parts; the year with four digits or with two
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("d.M.yyyy",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("d/M/yyyy", "M/d/yyyy")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("d-M-yyyy", "M-d-yyyy")),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("yyyy/M/d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("yyyy.M.d",)),
    (r"\d{4}-\d{1,2}-\d{1,2}", ("yyyy-M-d",)),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("d.M.yy",)),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("d/M/yy", "M/d/yy")),
    (r"\d{1,2} [A-Z][a-z]{2} \d{4}", ("d MMM yyyy",)),
    (r"\d{1,2}-[A-Z][a-z]{2}-\d{4}", ("d-MMM-yyyy",)),
    (r"\d{1,2} [A-Z][a-z]{3,} \d{4}", ("d MMMM yyyy",)),
    (r"[A-Z][a-z]{2} \d{1,2}, \d{4}", ("MMM d, yyyy",)),
    (r"[A-Z][a-z]{2} \d{1,2} \d{4}", ("MMM d yyyy",)),
    (r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", ("yyyyMMdd",)),
)
_TIMES = (
    (r"", ""),
    (r" \d{1,2}:\d{2}", " H:mm"),
    (r" \d{1,2}:\d{2}:\d{2}", " H:mm:ss"),
    (r" \d{1,2}:\d{2} [AP]M", " h:mm a"),
    (r" \d{1,2}:\d{2}:\d{2} [AP]M", " h:mm:ss a"),
)
_ISO_DAY = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = _ISO_DAY + r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
_TRUTHS = frozenset(["t", "true", "y", "yes", "f", "false", "n", "no", "1", "0"])
_SIGNS = r"[€$£¥%]|EUR|USD|CHF|GBP"
_SIGNED = re.compile(
    rf"(?P<sign>[+-]?)({_SIGNS}) ?(?P<a>[\d.,' ]*\d)|(?P<b>[+-]?[\d.,' ]*\d) ?({_SIGNS})"
)
_SECONDS, _MILLIS = r"[12]\d{9}", r"[12]\d{12}"


@dataclass(frozen=True)
class Cast:
    """A type with a format; or, with `derive`, SQL over the text, whose column is `{column}`."""

    type: str = "string"
    format: tuple[str, ...] = ()
    derive: str = ""

    @property
    def words(self) -> str:
        """What it is called in a comment."""
        what = "number with a sign" if self.derive and self.type == "double" else self.type
        return f"{what} as {' or '.join(self.format)}" if self.format else what

    @property
    def settings(self) -> dict[str, Any]:
        """Type and format as settings of a column have them."""
        found: dict[str, Any] = {} if self.type == "string" else {"type": self.type}
        if self.format:
            found["format"] = self.format[0] if len(self.format) == 1 else list(self.format)
        return found

    @property
    def is_number(self) -> bool:
        """Whether it gives numbers."""
        return self.type in ("int", "bigint", "double") and not self.is_moment

    @property
    def is_moment(self) -> bool:
        """Whether it gives days or times."""
        return self.type in ("date", "timestamp")


TEXT = Cast()


def suggested(texts: Sequence[str]) -> list[Cast]:
    """Return the casts that some of a column's texts look like, the plainest first."""
    found: dict[Cast, int] = {}
    for text in texts:
        for cast in set(_looks_like(text)):
            found[cast] = found.get(cast, 0) + 1
    # A whole number is a fraction, too: the one that takes more is tried alone.
    whole, any_number = found.get(Cast("bigint"), 0), found.get(Cast("double"), 0)
    found.pop(Cast("double") if whole == any_number else Cast("bigint"), None)
    least = SHARE * len(texts)
    order = {cast: place for place, cast in enumerate(_all_casts())}
    kept = [
        cast for cast, times in found.items() if times >= least and not _is_doubtful(cast, texts)
    ]
    return sorted(kept, key=lambda cast: order[cast])


def _is_doubtful(cast: Cast, texts: Sequence[str]) -> bool:
    """Tell whether a cast that other values look like, too, lacks what speaks for it."""
    if cast.type == "boolean":
        words = {text.lower() for text in texts}
        return not words <= _TRUTHS or words <= {"0", "1"}
    return False


def day_month_pairs(casts: Iterable[Cast]) -> list[tuple[Cast, Cast]]:
    """Return casts of which one reads the first number as the day, the other as the month."""
    known = list(casts)
    return [
        (one, other)
        for one in known
        for other in known
        if len(one.format) == len(other.format) == 1
        and _swapped(one.format[0]) == other.format[0]
        and one.format[0].startswith("d")
    ]


def _swapped(pattern: str) -> str:
    return re.sub(r"^d(.)M\1", r"M\1d\1", pattern)


def together(casts: Sequence[Cast]) -> Cast:
    """Return one cast that reads what each of several casts of days or times reads."""
    kind = "timestamp" if any(cast.type == "timestamp" for cast in casts) else "date"
    iso = "yyyy-MM-dd" if kind == "date" else "yyyy-MM-dd[ HH:mm[:ss]]"
    patterns = [pattern for cast in casts for pattern in cast.format or (iso,)]
    return Cast(kind, tuple(dict.fromkeys(patterns)))


def _looks_like(text: str) -> Iterator[Cast]:
    if re.fullmatch(r"[+-]?\d{1,18}(\.0+)?", text):
        yield Cast("bigint")
    if re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", text):
        yield Cast("double")
    for sample in SAMPLES:
        if _is_written(text, sample):
            yield Cast("double", (sample,))
    if text.lower() in _TRUTHS:
        yield Cast("boolean")
    yield from _moments_like(text)
    if (signed := _SIGNED.fullmatch(text)) is not None:
        yield _signed(signed["a"] or signed["b"])


def _moments_like(text: str) -> Iterator[Cast]:
    if re.fullmatch(_ISO_DAY, text):
        yield Cast("date")
    elif re.fullmatch(_ISO_TIME, text):
        yield Cast("timestamp")
    else:
        for look, patterns in _DATES:
            if found := re.match(look, text):
                rest = text[found.end() :]
                for time, letters in _TIMES:
                    if re.fullmatch(time, rest):
                        kind = "timestamp" if letters else "date"
                        yield from (Cast(kind, (pattern + letters,)) for pattern in patterns)
    if re.fullmatch(_MILLIS, text):
        yield Cast("timestamp", derive="timestamp_millis(CAST({column} AS BIGINT))")
    elif re.fullmatch(_SECONDS, text):
        yield Cast("timestamp", derive="timestamp_seconds(CAST({column} AS BIGINT))")


def _is_written(text: str, sample: str) -> bool:
    """Tell whether a text is a number with the marks of a sample, and needs them."""
    marks = marks_of(sample)
    if marks is None or re.fullmatch(r"[+-]?\d+", text):
        return False
    point, groups = re.escape(marks.decimal), marks.groups
    whole = rf"(?:[1-9]\d{{0,2}}(?:[{groups}]\d{{3}})+|\d+)" if groups else r"\d+"
    return bool(re.fullmatch(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)", text))


def _signed(number: str) -> Cast:
    """Return the cast of a number beside a sign; the last mark in it is the decimal one."""
    comma, point = number.rfind(","), number.rfind(".")
    is_comma = comma > point and not re.fullmatch(r"\d{1,3}(,\d{3})+", number)
    if is_comma:
        return _SIGNED_COMMA
    return _SIGNED_POINT


_LOOK = r"^[+-]?([€$£¥%]|EUR|USD|CHF|GBP)? ?[+-]?[0-9][0-9., ]*( ?([€$£¥%]|EUR|USD|CHF|GBP))?$"
_DIGITS = "regexp_replace({{column}}, '[^0-9{mark}+-]', '')"


def _of_signed(number: str) -> Cast:
    # What is written otherwise goes to a cast that fails, and its row into quarantine.
    look = f"{{column}} RLIKE '{_LOOK}'"
    number = f"CASE WHEN {look} THEN {number} ELSE {{column}} END"
    return Cast("double", derive=f"CAST({number} AS DOUBLE)")


_SIGNED_POINT = _of_signed(_DIGITS.format(mark="."))
_SIGNED_COMMA = _of_signed(f"translate({_DIGITS.format(mark=',')}, ',', '.')")


def _all_casts() -> list[Cast]:
    """Return all casts there are, the plainest first."""
    found = [Cast("boolean"), Cast("bigint"), Cast("double")]
    found += [Cast("double", (sample,)) for sample in SAMPLES]
    found += [_SIGNED_POINT, _SIGNED_COMMA, Cast("date"), Cast("timestamp")]
    for _, patterns in _DATES:
        for _, letters in _TIMES:
            kind = "timestamp" if letters else "date"
            found += [Cast(kind, (pattern + letters,)) for pattern in patterns]
    for name in ("millis", "seconds"):
        found.append(Cast("timestamp", derive=f"timestamp_{name}(CAST({{column}} AS BIGINT))"))
    return found
