"""What is in a CSV file, found without the reader that reads its values.

A record ends with a line that has an even number of quotes before it. That holds where every quote
opens a field, closes one or is doubled, which the census proves byte by byte; such a file is
`is_regular`. Of all others Python's own `csv` module says how many records they hold.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pipelines.ingest.csv_text import header_of, read_texts
from pipelines.ingest.dialect import Dialect
from pipelines.ingest.drift import BadFile
from pipelines.ingest.opened import is_packed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.uint8] | NDArray[np.int64]

LONGEST_RECORD = 64 * 2**20
_PIECE = 64 * 2**20
_LF, _CR = 10, 13
# No other letters end a line, whatever `splitlines` thinks. A CR at the end may be half an end.
_LONE = re.compile(r"\r(?!\n)")
_LF_END = re.compile(r"(?<=\n)(?!\Z)")
_LINE_END = re.compile(r"(?<=\n)(?!\Z)|(?<=\r)(?!\n|\Z)")


@dataclass(frozen=True)
class Piece:
    """A part of a file's plain text that holds whole records: from byte `start`, of `length`."""

    start: int
    length: int | None
    first_record: int
    num_records: int


@dataclass(frozen=True)
class Layout:
    """What a file's census found. `longest` is the longest record, in bytes."""

    header: tuple[str, ...]
    """As it stands in the file."""
    first_line: int
    cr_ends: bool
    num_records: int
    longest: int
    is_regular: bool
    has_wrong_bytes: bool
    pieces: tuple[Piece, ...]


def take_census(uri: str, dialect: Dialect) -> Layout:
    """Read a file through once; raise BadFile where it has no header or can't be read."""
    text = header_of(uri, dialect)
    plain = replace(dialect.plain, cr_ends=text.cr_ends)
    count = _Count(plain, dialect.is_simple, text.start)
    if dialect.passes_bytes and not is_packed(uri):
        count.piece = _PIECE
    if count.is_regular:
        count.take(text.chunks)
    is_regular = count.is_regular
    records = count.records
    if not is_regular:
        records = records_by_module(read_texts(uri, dialect, text.start), plain)
    elif count.longest > LONGEST_RECORD:
        raise BadFile(_TOO_LONG)
    cuts = [(text.start, 0), *(count.cuts if is_regular else ()), (None, records)]
    pieces = tuple(
        Piece(int(start), None if end is None else end - int(start), before, after - before)
        for (start, before), (end, after) in pairwise(cuts)
    )
    return Layout(
        text.header,
        text.first_line,
        text.cr_ends,
        records,
        count.longest,
        is_regular,
        count.is_wrong,
        pieces,
    )


_TOO_LONG = (
    f"one of its records is longer than {LONGEST_RECORD:,} bytes; expected a quote that is closed"
)


def records_by_module(texts: Iterator[str], plain: Dialect) -> int:
    """Count the records of a text in the plain form as Python's `csv` finds them."""
    csv.field_size_limit(LONGEST_RECORD)
    reader = csv.reader(
        _lines(texts, plain.cr_ends),
        delimiter=plain.separator,
        quotechar=plain.quote or None,
        escapechar=plain.escape or None,
        quoting=csv.QUOTE_MINIMAL if plain.quote else csv.QUOTE_NONE,
        skipinitialspace=plain.trims_left,
    )
    try:
        return sum(1 for record in reader if record)
    except csv.Error as error:
        raise BadFile(_TOO_LONG) from error


def _lines(texts: Iterator[str], cr_ends: bool) -> Iterator[str]:
    """Split at what ends a line, and nowhere else."""
    pattern = _LINE_END if cr_ends else _LF_END
    held = ""
    for text in texts:
        *lines, held = pattern.split(held + text)
        if held.endswith("\n"):
            lines, held = [*lines, held], ""
        if len(held) > LONGEST_RECORD:
            raise BadFile(_TOO_LONG)
        # A CR that is a letter would be no line's end to `csv`, but an error; any letter does.
        yield from lines if cr_ends else (_LONE.sub("?", line) for line in lines)
    if held:
        yield held if cr_ends else _LONE.sub("?", held)


@dataclass
class _Count:
    """Goes over a file's bytes in chunks."""

    plain: Dialect
    is_regular: bool
    position: int
    piece: int | None = None
    records: int = 0
    longest: int = 0
    is_wrong: bool = False
    cuts: list[tuple[int, int]] = field(default_factory=list)
    _in_quotes: bool = False
    _before: tuple[int, int] = (_LF, _LF)
    _length: int = 0

    def take(self, chunks: Iterator[bytes]) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        # A decoder may have nothing to say of a chunk.
        chunks = filter(None, chunks)
        chunk = next(chunks, b"")
        while chunk:
            following = next(chunks, b"")
            self._check_bytes(decoder, chunk, not following)
            # Behind the file's last byte a CR is a line's end, and a quote a field's.
            self._count(chunk, following[0] if following else _CR)
            if not self.is_regular:
                return
            chunk = following
        if self._in_quotes:
            self.is_regular = False
        # The last record may have no line end.
        self.records += self._length > 0
        self.longest = max(self.longest, self._length)

    def _check_bytes(self, decoder: Any, chunk: bytes, is_last: bool) -> None:
        if self.is_wrong or (chunk.isascii() and not decoder.getstate()[0]):
            return
        try:
            decoder.decode(chunk, is_last)
        except UnicodeDecodeError:
            self.is_wrong = True

    def _count(self, chunk: bytes, following: int) -> None:
        import numpy as np

        data = np.frombuffer(chunk, np.uint8)
        ends, lone = _line_ends(chunk, data, following)
        if not self.plain.cr_ends and self._is_outside(chunk, data, lone):
            self.is_regular = False
            return
        if self.plain.cr_ends and len(lone):
            ends = np.sort(np.concatenate([ends, lone]))
        quote = self.plain.quote.encode()
        if quote and quote in chunk and self.is_regular:
            quotes = np.flatnonzero(data == quote[0])
            self._check_quotes(data, quotes, following)
            inside = (np.searchsorted(quotes, ends) + self._in_quotes) & 1
            ends = ends[inside == 0]
            self._in_quotes ^= bool(len(quotes) & 1)
        elif self._in_quotes:
            ends = ends[:0]
        if len(ends):
            self._end_records(data, ends)
            self._length = len(data) - 1 - int(ends[-1])
            self._cut(int(ends[-1]) + 1)
        else:
            self._length += len(data)
        self.position += len(data)
        last = data[-2:]
        self._before = (int(last[0]) if len(last) == 2 else self._before[1], int(last[-1]))

    def _is_outside(self, chunk: bytes, data: Array, lone: Array) -> bool:
        """Tell whether one of these places lies outside of quotes."""
        import numpy as np

        if not len(lone):
            return False
        quotes = np.zeros(0, np.int64)
        if self.plain.quote and self.plain.quote.encode() in chunk:
            quotes = np.flatnonzero(data == ord(self.plain.quote))
        return bool(((np.searchsorted(quotes, lone) + self._in_quotes) % 2 == 0).any())

    def _end_records(self, data: Array, ends: Array) -> None:
        import numpy as np

        lengths = np.diff(ends, prepend=-1)
        lengths[0] += self._length
        before = data[ends - 1]
        if ends[0] == 0:
            before[0] = self._before[1]
        is_crlf = (before == _CR) & (data[ends] == _LF)
        is_blank = (lengths == 1) | ((lengths == 2) & is_crlf)
        self.records += len(ends) - int(np.count_nonzero(is_blank))
        self.longest = max(self.longest, int(lengths.max()))

    def _check_quotes(self, data: Array, quotes: Array, following: int) -> None:
        """Prove that quotes stand where fields begin and end, or are doubled."""
        import numpy as np

        opening, closing = quotes[int(self._in_quotes) :: 2], quotes[1 - int(self._in_quotes) :: 2]
        around = np.zeros(256, bool)
        around[[ord(self.plain.separator), ord(self.plain.quote), _LF, _CR]] = True
        ahead, behind = data[opening - 1], data[np.minimum(closing + 1, len(data) - 1)]
        if len(opening) and opening[0] == 0:
            ahead[0] = self._before[1]
        if len(closing) and closing[-1] == len(data) - 1:
            behind[-1] = following
        self.is_regular = bool(around[ahead].all() and around[behind].all())

    def _cut(self, end: int) -> None:
        at = self.position + end
        last = self.cuts[-1][0] if self.cuts else 0
        if self.piece is not None and at - last >= self.piece:
            self.cuts.append((at, self.records))


def _line_ends(chunk: bytes, data: Array, following: int) -> tuple[Array, Array]:
    """Return where line feeds are, and where carriage returns are that none follows."""
    import numpy as np

    ends, lone = np.flatnonzero(data == _LF), np.zeros(0, np.int64)
    if b"\r" in chunk:
        after = np.append(data[1:], np.uint8(following))
        lone = np.flatnonzero((data == _CR) & (after != _LF))
    return ends, lone
