"""How a CSV file is written, by the evidence in its bytes: encoding and separator. Pure."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_LINES = 200
_UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")
_NUMBER = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*")


@dataclass(frozen=True)
class Finding:
    """A value that was found, and the evidence for it in words."""

    value: str
    why: str


class EncodingEvidence:
    """Counts a text's bytes chunk by chunk: is it UTF-8, and which bytes beyond ASCII it has."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._others = 0
        self._undefined = 0
        self._head = b""

    def add(self, chunk: bytes) -> None:
        """Count a chunk."""
        if len(self._head) < 4096:
            self._head += chunk[:4096]
        others = chunk.translate(None, bytes(range(128)))
        self._others += len(others)
        self._undefined += sum(byte in _UNDEFINED for byte in others[:100_000])
        if self._is_utf8:
            try:
                self._utf8.decode(chunk)
            except UnicodeDecodeError:
                self._is_utf8 = False

    def finding(self) -> Finding:
        """Return the encoding that the bytes speak for."""
        for mark, name in _MARKS:
            if self._head.startswith(mark):
                return Finding(name, f"begins with the byte order mark of {name}")
        zeros = [self._head[place::2].count(0) for place in (0, 1)]
        if max(zeros) > len(self._head) / 8:
            order = "be" if zeros[0] > zeros[1] else "le"
            return Finding(f"utf-16-{order}", "every second byte is zero")
        if self._is_utf8:
            what = f"{self._others:,} bytes beyond ASCII, all of UTF-8" if self._others else "ASCII"
            return Finding("utf-8", what)
        if self._undefined:
            return Finding(
                "latin-1", f"{self._undefined:,} bytes that neither UTF-8 nor cp1252 has"
            )
        return Finding("cp1252", f"no UTF-8; {self._others:,} bytes beyond ASCII, all of cp1252")


def separator_of(head: str) -> Finding:
    """Return what stands between fields, by the first lines of a text, the header first.

    Raises ValueError, with words for people, where the first line is a row of values.
    """
    tried = {letter: _rows(head, letter) for letter in _SEPARATORS}
    best = max(tried, key=lambda letter: _rank(tried[letter]))
    rows = tried[best]
    header = rows[0] if rows else []
    named = [name.strip() for name in header]
    if named and any(_NUMBER.fullmatch(name) for name in named):
        raise ValueError(
            f"its first line looks like a row ({', '.join(named[:4])}); files need the columns' "
            "names in a line before the rows"
        )
    fitting = sum(len(row) == len(header) for row in rows)
    others = ", ".join(
        f"{max((len(row) for row in tried[letter]), default=0)} between {called}"
        for letter, called in _SEPARATORS.items()
        if letter != best
    )
    why = (
        f"{fitting:,} of the first {len(rows):,} lines have {len(header)} fields between "
        f"{_SEPARATORS[best]}; at most {others}"
    )
    return Finding(best, why)


def _rows(head: str, letter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=letter)
    found: list[list[str]] = []
    try:
        for row in reader:
            if row:
                found.append(row)
            if len(found) == _LINES:
                break
    except csv.Error:
        return []
    return found


def _rank(rows: list[list[str]]) -> tuple[float, bool, int]:
    """Rank a separator: lines of the header's width, names that hold no other, fields."""
    if not rows or len(rows[0]) < 2:
        return 0.0, False, 0
    width = len(rows[0])
    share = sum(len(row) == width for row in rows) / len(rows)
    is_whole = not any(
        letter in name for name in rows[0] for letter in _SEPARATORS if letter != ","
    )
    return round(share, 2), is_whole, width


def head_of(chunks: Iterable[bytes], encoding: str, most: int = 2**20) -> str:
    """Return the first letters of a text, without a byte order mark; wrong bytes become U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = ""
    for chunk in chunks:
        text += decoder.decode(chunk[:most])
        if len(text) >= most:
            break
    text = text.removeprefix("\ufeff")
    if len(text) >= most:
        text = text[: text.rfind("\n") + 1]
    return text
