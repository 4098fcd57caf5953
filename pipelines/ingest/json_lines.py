"""The records in a line of JSON: one parser says what the keys are and what the values.

A line holds objects, one after another, or arrays of objects: each object is a record. Values are
text, letter by letter as they came: `1.10` stays `1.10`, a nested value is its JSON without blanks,
`null` is null. What can't be told so is a finding about the whole line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from json.encoder import encode_basestring
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, str | None]
"""The values of an object by key."""

_BLANK = re.compile(r"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"
_BOM_16 = (b"\xff\xfe", b"\xfe\xff")
NO_OBJECT = "the line is no JSON object"
NO_UTF8 = "bytes that are no UTF-8 text"
UTF_16 = f"{NO_UTF8}, but UTF-16: deliver JSON in UTF-8"
OVER_LINES = (
    "one JSON value goes over many lines of it, as in a pretty-printed file. Deliver one object a "
    "line (of `jq`: `-c`)"
)


class BadLine(Exception):
    """A finding about a line, no failure of the run: it is put aside, the message is the reason."""


class _Number(str):
    """A number's own letters."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """An object's pairs: keys that are there twice are still there."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=_Number, parse_int=_Number, parse_constant=_Number
)


def records_in(line: bytes, columns: Collection[str] = ()) -> list[Record]:
    """Return a line's records, in their order; none of a blank line.

    Raises BadLine; of keys that are there twice it names those among `columns`.
    """
    text = _text_of(line)
    try:
        objects = _objects_in(text)
    except RecursionError as error:
        raise BadLine(f"{NO_OBJECT}: it is nested too deeply") from error
    except json.JSONDecodeError as error:
        where = f"{error.msg} at letter {error.pos + 1}"
        raise BadLine(f"{NO_OBJECT}: {where}") from error
    # Only an escape can bring half of a pair of surrogates, which is no letter.
    has_escapes = "\\u" in text
    return [_record(pairs, columns, has_escapes) for pairs in objects]


def _text_of(line: bytes) -> str:
    if line.startswith(_BOM_16):
        raise BadLine(UTF_16)
    try:
        return line.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLine(NO_UTF8) from error


def _objects_in(text: str) -> list[_Object]:
    found: list[_Object] = []
    place = _after_blanks(text, 0)
    while place < len(text):
        value, end = _DECODER.raw_decode(text, place)
        for one in [value] if type(value) is not list else value:
            if type(one) is not _Object:
                raise BadLine(NO_OBJECT)
            found.append(one)
        place = _after_blanks(text, end)
    return found


def _after_blanks(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _record(pairs: _Object, columns: Collection[str], has_escapes: bool) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1 and key in columns})
        raise BadLine(f"a key is there more than once{f': {twice}' if twice else ''}")
    for key, value in record.items():
        if type(value) is not str and value is not None:
            record[key] = _written(value)
    if has_escapes:
        try:
            "".join(text for pair in record.items() for text in pair if text).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadLine("half a letter: a surrogate without its other half") from error
    return record


def _written(value: Any) -> str:
    """Write a value as JSON without blanks, numbers by their own letters."""
    if type(value) is _Number:
        return str(value)
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is _Object:
        pairs = (f"{encode_basestring(key)}:{_written(one)}" for key, one in value)
        return "{" + ",".join(pairs) + "}"
    if type(value) is list:
        return "[" + ",".join(map(_written, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value]
