"""What a text must become, said by Python's own types; None: it must be a finding."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from decimal import Decimal


def whole(text: str, bits: int) -> int | None:
    """A whole number, also as `5.0`."""
    if not re.fullmatch(r"[+-]?[0-9]+(\.0+)?", text):
        return None
    value = int(text.split(".")[0])
    return value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else None


def decimal(text: str, precision: int, scale: int) -> Decimal | None:
    """A number of so many digits, none of which is lost."""
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?", text):
        return None
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    lost = len("".join(map(str, digits)).rstrip("0")) - len(digits) - int(exponent)
    fits = abs(value) < Decimal(10) ** (precision - scale)
    return value if fits and (lost <= scale or value == 0) else None


def fraction(text: str, *, is_single: bool = False) -> float | None:
    """The nearest floating number, unless it is another whole number, zero or infinite."""
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?", text):
        return None
    exact, value = Decimal(text), float(text)
    if is_single:
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return None
    if math.isinf(value) or (value == 0) != (exact == 0):
        return None
    is_whole = re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text)
    return None if is_whole and Decimal(value) != exact else value


def day(text: str) -> dt.date | None:
    """An ISO day, with a midnight at most."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00(:00(\.0+)?)?)?", text):
        return None
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return None


def moment(text: str) -> dt.datetime | None:
    """An ISO time; one without an offset is of UTC."""
    zone = r"( ?(Z|UTC|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?|[+-]18(:?00)?))?"
    time = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?" + zone + ")?"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]" + time + ")?", text):
        return None
    plain = re.sub(r" ?(Z|UTC)$", "+00:00", text)
    plain = re.sub(r" ([+-])", r"\1", plain)
    plain = re.sub(r"(\.[0-9]{6})0+", r"\1", plain)
    try:
        found = dt.datetime.fromisoformat(plain)
        if found.tzinfo is None:
            return found
        return found.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
