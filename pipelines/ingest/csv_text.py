"""The plain text of a CSV file: its header, and what comes behind it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from pipelines.ingest.csv_fields import Record, next_record
from pipelines.ingest.dialect import Dialect, plain_text
from pipelines.ingest.drift import BadFile
from pipelines.ingest.header_hints import quoted_hint
from pipelines.ingest.opened import is_packed, read_chunks

LONGEST_HEADER = 2**20


@dataclass(frozen=True)
class Text:
    """A header, and the plain text behind it, which begins at byte `start`, line `first_line`."""

    header: tuple[str, ...]
    first_line: int
    start: int
    chunks: Iterator[bytes]
    cr_ends: bool
    """Whether a CR alone ends its header, and so its records. Elsewhere it is a letter."""


def read_plain(uri: str, dialect: Dialect, start: int = 0) -> Iterator[bytes]:
    """Yield a file's text in the plain form, without its first `start` bytes."""
    if start and dialect.passes_bytes and not is_packed(uri):
        # A mark of three bytes at the beginning counts: offsets are those of the file.
        yield from read_chunks(uri, start)
        return
    for chunk in _plain(uri, dialect):
        if start >= len(chunk):
            start -= len(chunk)
            continue
        yield chunk[start:]
        start = 0


def read_texts(uri: str, dialect: Dialect, start: int) -> Iterator[str]:
    """Yield the same decoded; a wrong byte becomes a lone surrogate."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for chunk in read_plain(uri, dialect, start):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def _plain(uri: str, dialect: Dialect) -> Iterator[bytes]:
    return plain_text(read_chunks(uri), dialect)


def header_of(uri: str, dialect: Dialect) -> Text:
    """Read a file as far as its header goes; raise BadFile where there is none.

    Blank lines and comments before it are passed over. Names come without outer white space.
    """
    chunks, first = read_chunks(uri), b""
    while len(first) < len(codecs.BOM_UTF8) and (chunk := next(chunks, b"")):
        first += chunk
    mark = len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0
    is_offset = dialect.passes_bytes and not is_packed(uri)
    texts = plain_text(chain([first], chunks), dialect)
    head = b""
    for chunk in texts:
        head += chunk
        found = _header(head, False, dialect)
        if found is None and len(head) <= LONGEST_HEADER:
            continue
        break
    else:
        found = _header(head, True, dialect)
    if found is None:
        if len(head) > LONGEST_HEADER:
            raise BadFile(f"no header: its first line is longer than {LONGEST_HEADER:,} bytes")
        raise BadFile("the file is empty: it has no header")
    names, end, first_line = found
    rest = chain([head[end:]] if head[end:] else [], texts)
    cr_ends = head[end - 1 : end] == b"\r"
    return Text(names, first_line, end + (mark if is_offset else 0), rest, cr_ends)


def _header(
    head: bytes, is_whole: bool, dialect: Dialect
) -> tuple[tuple[str, ...], int, int] | None:
    """Return the names, the byte behind the header, and the number of the line that begins there.

    None where the header may not be there as a whole.
    """
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head, is_whole)
    at = 0
    while True:
        line = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?").match(text, at)
        assert line is not None
        is_open = line.end() == len(text) and not is_whole
        if is_open and not line[0].strip():
            return None
        is_comment = bool(dialect.comment) and line[0].startswith(dialect.comment)
        if line[0].strip() and not is_comment:
            break
        if line.end() == len(text):
            return None
        at = line.end()
    record = next_record(text, at, is_whole, dialect.plain)
    if dialect.passes_bytes and "\0" in text[at : record.end if record else None]:
        raise BadFile(_no_text(head))
    if record is None:
        return None
    if re.search("[\ud800-\udfff]", text[at : record.end]):
        raise BadFile(
            f"its header is no {dialect.encoding} text; expected that, or `options.encoding` set"
        )
    if record.problem:
        hint = quoted_hint(text[record.problem_at :], dialect.plain.quote)
        said = _said(text, record)
        raise BadFile(f"its header can't be read: {said}{f'; {hint}' if hint else ''}")
    names = tuple(dialect.restore(name or "").strip() for name in record.fields)
    behind = text[: record.end]
    return names, len(behind.encode("utf-8", "surrogateescape")), 1 + num_lines(behind)


def _said(text: str, record: Record) -> str:
    return record.problem.format(line=1 + num_lines(text[: record.problem_at]))


def num_lines(text: str) -> int:
    """Return how many lines end in a text."""
    return text.count("\n") + (text.count("\r") - text.count("\r\n"))


def _no_text(head: bytes) -> str:
    said = "no text: there are zero bytes at its beginning"
    if head[:2] == b"\x1f\x8b":
        return f"{said}; they look compressed by gzip: give the file the ending .gz"
    zeros = [head[place:200:2].count(0) > len(head[:200]) / 4 for place in (0, 1)]
    if any(zeros):
        order = "be" if zeros[0] else "le"
        return f"{said}; it looks like UTF-16: set `options.encoding: utf-16-{order}`"
    return said
