"""Settings of one silver column: its type, how files write it, and what becomes of bad values."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.formats import check_format
from pipelines.errors import nearest
from pipelines.settings import Settings

INTEGERS = ("tinyint", "byte", "smallint", "short", "int", "integer", "bigint", "long")
FRACTIONS = ("float", "real", "double")
OTHERS = ("string", "boolean", "date", "timestamp", "binary")
_TYPES = [*INTEGERS, *FRACTIONS, *OTHERS]
_DECIMAL = re.compile(r"(decimal|dec|numeric)(\(\d+(,\s*\d+)?\))?")
_NESTED = re.compile(r"(array|map|struct)<.+>")


_SYNONYMS = {
    "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float",
}  # fmt: skip


def synonym(kind: str) -> str:
    """Return the name under which Spark's schemas have a type."""
    decimal = decimal_of(kind)
    return f"decimal({decimal[0]},{decimal[1]})" if decimal else _SYNONYMS.get(kind, kind)


def decimal_of(kind: str) -> tuple[int, int] | None:
    """Return digits and digits behind the point of a decimal type; None for another type."""
    if not _DECIMAL.fullmatch(kind):
        return None
    numbers = [int(number) for number in re.findall(r"\d+", kind)]
    precision, scale = [*numbers, *(10, 0)[len(numbers) :]]
    return precision, scale


class Missing(Settings):
    """What happens to a row whose value is missing in this column."""

    action: Literal["keep", "constant", "drop", "flag", "quarantine"] = "keep"
    """keep the null; put `value`; drop the row; keep and add `<column>_is_missing`; quarantine."""
    value: Any = None

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Missing:
        if (self.action == "constant") != (self.value is not None):
            raise ValueError("`missing.value` and `missing.action: constant` go together")
        return self


class Outliers(Settings):
    """What counts as an outlier in a numeric column, and what happens to it.

    `bounds` uses `min` and `max`. `iqr` (Tukey's fences) and `sigma` take bounds from statistics
    that are fitted once, on silver-typed rows with `date_column` in `fit_range`, and stored.
    """

    method: Literal["bounds", "iqr", "sigma"] = "bounds"
    min: float | None = None
    max: float | None = None
    factor: float = Field(default=3.0, gt=0)
    """Width of the fence: quartile distances (`iqr`) or standard deviations (`sigma`)."""
    date_column: str | None = None
    """Column (declared or derived) of type date or timestamp that `fit_range` is about."""
    fit_range: tuple[dt.date, dt.date] | None = None
    """First and last day. Fitted in the first run whose rows reach the last day; until then no
    value of the column counts as an outlier, and the run says so."""
    action: Literal["clip", "quarantine", "flag", "null"] = "quarantine"
    """`clip` puts the nearer bound; `flag` adds `<column>_is_outlier`; `null` empties the value."""

    @model_validator(mode="after")
    def _method_has_its_settings(self) -> Outliers:
        if self.method == "bounds":
            if self.min is None and self.max is None:
                raise ValueError("`outliers.method: bounds` needs `min` or `max`")
            if self.fit_range is not None:
                raise ValueError(
                    "`outliers.fit_range` is for `method: iqr` or `sigma`; `bounds` is not fitted"
                )
        else:
            if self.fit_range is None or self.date_column is None:
                raise ValueError(
                    f"`outliers.method: {self.method}` needs `fit_range` and `date_column`"
                )
            if self.min is not None or self.max is not None:
                raise ValueError(f"`outliers.min` and `max` don't go with `method: {self.method}`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`outliers.min: {self.min}` is above `max: {self.max}`")
        if self.fit_range is not None and self.fit_range[0] > self.fit_range[1]:
            raise ValueError(f"`outliers.fit_range` ends before it begins: {self.fit_range}")
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether the bounds come from the data."""
        return self.method != "bounds"


class Column(Settings):
    """One silver column: where it comes from, its type and its treatment."""

    source: str | None = None
    """Bronze column it is read from; the column's own name by default."""
    type: str = "string"
    """Spark SQL type: string, int, bigint, double, boolean, date, timestamp, decimal(p,s)."""
    format: str | tuple[str, ...] | None = None
    """How files write it. Of a date or timestamp: its pattern (`yyyyMMdd`), or several of them; ISO
    8601 without one. Of a number: how 1234.56 would stand there (`1.234,56`, `1234,56`)."""
    trim: bool = True
    null_values: tuple[str, ...] = ("",)
    """Texts that mean a missing value (after trimming); the entity's, where it has some."""
    on_cast_error: Literal["quarantine", "null"] = "quarantine"
    """A value that can't be cast: quarantine the row (`cast:<column>`), or take it as missing."""
    missing: Missing = Missing()
    outliers: Outliers | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """What `format` says, one or several."""
        return (self.format,) if isinstance(self.format, str) else self.format or ()

    @property
    def is_integer(self) -> bool:
        """Whether the column holds whole numbers."""
        return self.type in INTEGERS

    @property
    def is_numeric(self) -> bool:
        """Whether the column holds numbers."""
        return self.type in (*INTEGERS, *FRACTIONS) or bool(_DECIMAL.fullmatch(self.type))

    @model_validator(mode="after")
    def _parts_fit_the_type(self) -> Column:
        known = self.type in _TYPES or _DECIMAL.fullmatch(self.type) or _NESTED.match(self.type)
        if not known:
            raise ValueError(
                f"unknown type '{self.type}'; expected {', '.join(_TYPES)}, decimal(p,s) or "
                f"array<...>.{nearest(self.type, _TYPES)}"
            )
        if self.format is not None:
            check_format(self.format, self.type, is_number=self.is_numeric)
        decimal = decimal_of(self.type)
        if decimal is not None and not decimal[1] <= decimal[0] <= 38:
            raise ValueError(
                f"'{self.type}' has {decimal[0]} digits, {decimal[1]} of them behind the point; "
                "expected 38 at most, and no more behind the point than in all"
            )
        if self.outliers is not None and not self.is_numeric:
            raise ValueError(f"`outliers` is for numbers; the type is '{self.type}'")
        if self.missing.action == "constant" and not self._fits(self.missing.value):
            raise ValueError(f"`missing.value: {self.missing.value!r}` is no {self.type}")
        return self

    def _fits(self, value: Any) -> bool:
        decimal = decimal_of(self.type)
        if decimal is not None and isinstance(value, (int, float)):
            digits = -int(Decimal(str(value)).normalize().as_tuple().exponent)
            return not isinstance(value, bool) and digits <= decimal[1]
        if self.is_numeric:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return is_number and (not self.is_integer or float(value).is_integer())
        if self.type == "boolean":
            return isinstance(value, bool)
        if self.type in ("date", "timestamp"):
            return isinstance(value, dt.date) or _is_iso(value, self.type)
        return self.type != "string" or isinstance(value, str)


def _is_iso(value: Any, kind: str) -> bool:
    day, seconds = r"\d{4}-\d{2}-\d{2}", r":\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?"
    pattern = day if kind == "date" else rf"{day}([ T]\d{{2}}:\d{{2}}({seconds})?)?"
    try:
        dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return re.fullmatch(pattern, value, re.ASCII) is not None
