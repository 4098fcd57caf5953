"""A column's type, its format and its words for a missing value, by the evidence. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.config.formats import marks_of
from pipelines.profiling.casts import TEXT, Cast, day_month_pairs, suggested, together
from pipelines.profiling.facts import ColumnFacts, Counts, NumberFacts, share, shown

SURE_WORDS = frozenset(("null", "(null)", "n/a", "#n/a", "nan", "<na>", "\\n", "n.a.", "k.a."))
"""Words, in small letters, that mean a missing value wherever they stand."""
WORDS = SURE_WORDS | frozenset(
    ("na", "none", "nil", "-", "--", "---", "?", ".", "x", "missing", "unknown", "unbekannt",
     "not available", "keine angabe", "inf", "-inf", "#value!", "#div/0!", "#ref!")
)  # fmt: skip
"""Words that mean one among numbers or days."""
MOST_UNFIT = 0.02
"""Share of values that may go into quarantine for the sake of a type."""
_SETTINGS = {"timestamp_ntz": "timestamp"}
"""What settings call types of Parquet that they have under another name."""
_SENTINEL = re.compile(r"-?9{2,}([.,](9+|0+))?")
_COMMA, _POINT = (Cast("double", ("1.234,56",)), Cast("double", ("1234,56",))), Cast("double")
_THOUSANDS = Cast("double", ("1,234.56",))


@dataclass(frozen=True)
class Typed:
    """How a column is read. `why` are sentences for the comment beside it."""

    column: ColumnFacts
    cast: Cast = TEXT
    null_values: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    unclear: str = ""
    """Why it stays text though it could be days: two orders of day and month fit."""
    numbers: NumberFacts | None = field(default=None, compare=False)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        kind = self.cast.type
        return kind in ("tinyint", "smallint", "int", "bigint", "float", "double") or (
            kind.startswith("decimal")
        )

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return self.cast.type in ("tinyint", "smallint", "int", "bigint")

    @property
    def is_moment(self) -> bool:
        """Whether it holds days or times."""
        return self.cast.type in ("date", "timestamp", "timestamp_ntz")

    @property
    def is_truth(self) -> bool:
        """Whether it holds yes and no as a type."""
        return self.cast.type == "boolean"

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.cast == TEXT and self.column.is_text

    def usable(self, name: str) -> str:
        """Return the silver column to compute with, of a column called `name`."""
        if not self.cast.derive:
            return name
        return f"{name}_at" if self.is_moment else f"{name}_value"

    @property
    def values(self) -> Counts:
        """The values there are, with counts, where they are few; without words for none."""
        return tuple(pair for pair in self.column.top if pair[0] not in self.null_values)

    @property
    def present(self) -> int:
        """Rows with a value."""
        lost = dict(self.column.top) or dict(self.column.trial(self.cast).unfit)
        return self.column.present - sum(lost.get(word, 0) for word in self.null_values)

    @property
    def distinct(self) -> int:
        """How many different values there are, without words for none."""
        return (
            self.column.distinct - len(self.null_values)
            if self.null_values
            else self.column.distinct
        )


def writes_commas(columns: Sequence[ColumnFacts]) -> bool:
    """Tell whether some column can only be numbers with a decimal comma."""
    return any(
        column.is_text
        and column.present
        and max(column.trial(cast).fits for cast in _COMMA) > 0.9 * column.present
        and column.trial(_POINT).fits < 0.9 * column.present
        and column.trial(_THOUSANDS).fits < 0.9 * column.present
        for column in columns
    )


def likely(column: ColumnFacts, *, commas: bool = False, day_first: bool | None = None) -> Cast:
    """Return the cast that takes most values; of those that take as many, the plainest."""
    if not column.is_text:
        return Cast(_SETTINGS.get(column.kind, column.kind))
    if column.zeros_before or column.long_digits:
        return TEXT
    casts = [cast for cast, trial in column.trials.items() if trial.fits]
    if day_first is not None:
        for first, second in day_month_pairs(casts):
            dropped = second if day_first else first
            casts = [cast for cast in casts if cast != dropped]
    if commas and any(cast in _COMMA for cast in casts):
        casts = [cast for cast in casts if cast not in (_POINT, _THOUSANDS)]
    return max(casts, key=lambda cast: column.trial(cast).fits, default=TEXT)


def more_casts(column: ColumnFacts, cast: Cast) -> list[Cast]:
    """Return further casts to try, by the values that one does not take.

    Days may be written in several ways; a number that was taken for a whole one may be a fraction.
    """
    unfit = column.trial(cast).unfit
    texts = [text for text, _ in unfit if text.lower() not in WORDS]
    if cast.is_number:
        return [one for one in suggested(texts) if one.is_number and one not in column.trials]
    others = [one for one in suggested(texts) if one.is_moment and not one.derive]
    if not cast.is_moment or cast.derive or not others:
        return []
    return [*others, *(together([cast, one]) for one in others)]


def typed(column: ColumnFacts, *, commas: bool = False, day_first: bool | None = None) -> Typed:
    """Return a column's type, by its trials, and the values that the likely one does not take."""
    cast = likely(column, commas=commas, day_first=day_first)
    if not column.present:
        return (
            Typed(column, why=("empty",)) if column.is_text else Typed(column, cast, why=("empty",))
        )
    if column.is_text and (column.zeros_before or column.long_digits):
        return _text(column, _why_id(column))
    if cast == TEXT or not column.is_text:
        return _text(column, ()) if column.is_text else Typed(column, cast)
    trial = column.trial(cast)
    words = tuple(text for text, _ in trial.unfit if text.lower() in WORDS)
    lost = sum(count for text, count in trial.unfit if text in words)
    left = column.present - lost - trial.fits
    if trial.fits <= lost / 20 or left > MOST_UNFIT * column.present:
        return _text(column, _why_not(column, cast, words, left))
    other = _as_good(column, cast)
    if other is not None and day_first is None:
        said = f"{cast.format[0]} and {other.format[0]} fit all {trial.fits:,} values"
        return Typed(column, why=(f"text: {said}",), unclear=said)
    why = [f"{trial.fits:,} of {column.present:,} values are {cast.words}"]
    if words:
        why.append(f"missing: {shown([pair for pair in trial.unfit if pair[0] in words])}")
    if left:
        bad = [pair for pair in trial.unfit if pair[0] not in words]
        why.append(f"into quarantine: {shown(bad)}")
    if column.missing:
        why.append(f"{share(column.missing, column.rows)} empty")
    return Typed(column, cast, words, tuple(why))


def _as_good(column: ColumnFacts, cast: Cast) -> Cast | None:
    """Return the cast that takes day for month, where it takes as many values."""
    for first, second in day_month_pairs(column.trials):
        if cast in (first, second):
            other = second if cast == first else first
            return other if column.trial(other).fits == column.trial(cast).fits else None
    return None


def _why_id(column: ColumnFacts) -> tuple[str, ...]:
    if column.zeros_before:
        return (f"text: {column.zeros_before:,} values begin with a zero that a number would lose",)
    return (f"text: {column.long_digits:,} values have more digits than a number keeps",)


def _why_not(column: ColumnFacts, cast: Cast, words: Sequence[str], left: int) -> tuple[str, ...]:
    bad = [pair for pair in column.trial(cast).unfit if pair[0] not in words]
    said = f", such as {shown(bad, 3)}" if bad else ""
    return (f"text: {left:,} of {column.present:,} values are no {cast.words}{said}",)


def _text(column: ColumnFacts, why: tuple[str, ...]) -> Typed:
    """Return a column of texts, with words that mean a missing value in any text."""
    seen = [(text, count) for text, count in column.top if text.lower() in SURE_WORDS]
    found = tuple(text for text, _ in seen)
    said = (*why, f"missing: {shown(seen)}") if seen else why
    return Typed(column, null_values=found, why=said)


def sentinels(one: Typed, numbers: NumberFacts, without: NumberFacts | None) -> tuple[str, ...]:
    """Return numbers that stand for a missing value: nines, beyond the range of all others twice.

    `without` are the figures of the others.
    """
    marks = sentinel_texts(one)
    if not marks or without is None or numbers.count == without.count:
        return ()
    width = without.largest - without.least
    lowest, highest = without.least - width, without.largest + width
    return tuple(mark for mark in marks if not lowest <= _value(mark) <= highest)


def sentinel_texts(one: Typed) -> tuple[str, ...]:
    """Return the values of nines that a column of numbers has more than once, as they stand."""
    if not one.is_number or one.cast.derive:
        return ()
    marks = marks_of(one.cast.format[0]) if one.cast.format else None
    point = marks.decimal if marks else "."
    trial, counts = one.column.trial(one.cast), dict(one.column.top)
    # Of many values the ends are known, as numbers: so they are written again.
    ends = {text.replace(".", point) for text in (trial.least, trial.largest) if text}
    found = [*counts] if counts else [one.column.least, one.column.largest, *sorted(ends)]
    return tuple(
        dict.fromkeys(
            text for text in found if text and _SENTINEL.fullmatch(text) and counts.get(text, 2) > 1
        )
    )


def _value(text: str) -> float:
    return float(text.replace(",", "."))
