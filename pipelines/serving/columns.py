"""Raw columns as a predictor takes them: what each may hold, and how its values become arrays.

A value that the batch way could not have held (a text for a number, 1.5 for a whole number) is an
error that names row, column and value, and never taken for another one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.encoding.raw import base_type, element_type
from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import PredictionError, nearest

Array = npt.NDArray[Any]
Columns = Mapping[str, Sequence[Any]]

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_SHOWN = 60
_EXPECTED = {
    "string": "a text",
    "date": "a day as '2013-12-31'",
    "binary": "bytes",
    "boolean": "true or false",
    **dict.fromkeys(_WHOLE, "a whole number"),
}


@dataclass(frozen=True)
class RawColumn:
    """A raw feature column by name, with Spark's name of its type when the model was trained."""

    name: str
    raw_type: str

    @property
    def is_list(self) -> bool:
        """Whether each row holds a list."""
        return element_type(self.raw_type) is not None

    @property
    def value_type(self) -> str:
        """The type of a value, of a list's elements."""
        return element_type(self.raw_type) or base_type(self.raw_type)

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        one = _EXPECTED.get(self.value_type, "a number")
        return f"a list, each element {one} or null" if self.is_list else f"{one} or null"


def raw_columns(spec: FeatureSpec) -> list[RawColumn]:
    """Return the raw columns a spec needs, each once, in the order of their first use."""
    types = {one.column: one.raw_type for one in reversed(spec.features)}
    return [RawColumn(name, types[name]) for name in spec.raw_columns]


def by_column(data: Any, wanted: Sequence[RawColumn]) -> tuple[dict[str, Sequence[Any]], int]:
    """Return the wanted columns of a mapping, rows, a pandas or an Arrow table; the rows' number.

    Rows are mappings from names to values, and each one has all names: a missing value is null.
    """
    names = [column.name for column in wanted]
    if isinstance(data, Mapping):
        found: dict[str, Any] = {name: data[name] for name in names if name in data}
        there = list(data)
    elif hasattr(data, "column_names") or hasattr(data, "columns"):
        there = [str(name) for name in getattr(data, "column_names", data.columns)]
        found = {name: _listed(data[name]) for name in names if name in there}
    else:
        return _from_rows(list(data), names)
    _refuse_lacking([name for name in names if name not in found], there)
    lengths = {name: _length(name, values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        raise PredictionError(
            f"columns are of different length: {lengths}. Expected one value a row in each."
        )
    return found, next(iter(lengths.values()), 0)


def _from_rows(rows: list[Any], names: list[str]) -> tuple[dict[str, Sequence[Any]], int]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PredictionError(
                f"row {number} is a {type(row).__name__}; expected a mapping from the names of raw "
                "columns to values."
            )
        _refuse_lacking([name for name in names if name not in row], list(row), f"row {number}: ")
    return {name: [row[name] for row in rows] for name in names}, len(rows)


def _refuse_lacking(lacking: list[str], there: list[str], where: str = "") -> None:
    if lacking:
        near = nearest(lacking[0], [str(name) for name in there])
        raise PredictionError(
            f"{where}column{'s' * (len(lacking) > 1)} {', '.join(map(repr, lacking))} "
            f"{'are' if len(lacking) > 1 else 'is'} missing.{near} Give every raw column of the "
            "model; a value that is not known is null."
        )


def _listed(values: Any) -> Sequence[Any]:
    """Return a pandas or an Arrow column as numbers without a copy, or as a list."""
    if hasattr(values, "to_pylist"):
        return values.to_pylist()  # type: ignore[no-any-return]
    kind = getattr(values.dtype, "kind", "O")
    return values.to_numpy() if kind in "fiub" else values.tolist()  # type: ignore[no-any-return]


def _length(name: str, values: Any) -> int:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise PredictionError(
            f"column '{name}' is {_shown(values)}; expected a list with one value a row."
        )
    return len(values)


def encode(columns: Columns, wanted: Sequence[RawColumn]) -> dict[str, Array]:
    """Return arrays as `to_keras` takes them: (rows,), lists (rows, longest) and `<name>_length`.

    Numbers are float64, missing is NaN; texts, days and files are bytes, missing is `b""`.
    """
    arrays: dict[str, Array] = {}
    for column in wanted:
        values = columns[column.name]
        if column.is_list:
            arrays |= _lists(column, values)
        else:
            arrays[column.name] = _flat(column, values, range(len(values)))
    return arrays


def _flat(column: RawColumn, values: Sequence[Any], rows: Sequence[int]) -> Array:
    """Return values, each of the row that stands beside it in `rows`, as one array."""
    kind = column.value_type
    if kind in ("string", "date", "binary"):
        texts = np.empty(len(values), object)
        texts[:] = _each(column, values, rows, {"date": _day, "binary": _bytes}.get(kind, _text))
        return texts
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and kind not in _WHOLE:
        numbers = values.astype(np.float64)
    else:
        convert = {"boolean": _truth}.get(kind, _whole if kind in _WHOLE else _number)
        numbers = np.array(_each(column, values, rows, convert), np.float64)
    # A float column of a table holds no more than this.
    return numbers.astype(np.float32).astype(np.float64) if kind == "float" else numbers


def _each(
    column: RawColumn, values: Sequence[Any], rows: Sequence[int], convert: Callable[[Any], Any]
) -> list[Any]:
    found = []
    for row, value in zip(rows, values, strict=True):
        try:
            found.append(convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise PredictionError(
                f"row {row}, column '{column.name}': {_shown(value)} can't be predicted with; "
                f"expected {column.expected}."
            ) from error
    return found


def _lists(column: RawColumn, values: Sequence[Any]) -> dict[str, Array]:
    lists: list[Sequence[Any]] = []
    for row, value in enumerate(values):
        if not _is_missing(value) and not isinstance(value, list | tuple | np.ndarray):
            raise PredictionError(
                f"row {row}, column '{column.name}': {_shown(value)} can't be predicted with; "
                f"expected {column.expected}, or null."
            )
        lists.append(() if _is_missing(value) else value)
    lengths = np.array([len(one) for one in lists], np.int32)
    rows = np.repeat(np.arange(len(lists)), lengths)
    flat = _flat(column, [value for one in lists for value in one], rows.tolist())
    longest = int(lengths.max(initial=0))
    padded = np.full((len(lists), longest), b"" if flat.dtype == object else 0.0, flat.dtype)
    padded[np.arange(longest) < lengths[:, None]] = flat
    return {column.name: padded, f"{column.name}_length": lengths}


def _is_missing(value: Any) -> bool:
    """Tell whether a value is null, as Python, numpy and pandas (`NA`, `NaT`) say it."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _number(value: Any) -> float:
    if _is_missing(value):
        return math.nan
    if isinstance(value, int | float | Decimal | np.number | np.bool_):
        return float(value)
    raise TypeError


def _whole(value: Any) -> float:
    number = _number(value)
    if math.isinf(number) or not (math.isnan(number) or number.is_integer()):
        raise ValueError
    return number


def _truth(value: Any) -> float:
    number = _number(value)
    if not (math.isnan(number) or number in (0.0, 1.0)):
        raise ValueError
    return number


def _text(value: Any) -> bytes:
    if _is_missing(value):
        return b""
    if not isinstance(value, str):
        raise TypeError
    return value.encode()


def _day(value: Any) -> bytes:
    if _is_missing(value):
        return b""
    if isinstance(value, dt.datetime):
        # pandas has no days, only times of midnight.
        if value.time() != dt.time(0):
            raise ValueError
        value = value.date()
    day = value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
    if isinstance(value, str) and day.isoformat() != value:
        raise ValueError
    return day.isoformat().encode()


def _bytes(value: Any) -> bytes:
    if _is_missing(value):
        return b""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return bytes(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
