"""How a source's CSV files are written: the letters that mean something, and the encoding.

Whatever a file's letters are, its text is read in a plain form: UTF-8, each of those letters one
ASCII byte, records ended by LF, CRLF or CR. Letters of other forms are replaced by control
characters on the way in, and put back in the values.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipelines.config.reader_options import unescaped
from pipelines.ingest.drift import BadFile

_STAND_INS = {"separator": "\x1f", "quote": "\x1e", "\n": "\x1d", "\r": "\x1c", "escape": "\x1a"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8", ("utf-8", "utf-8-sig")),
    (codecs.BOM_UTF32_LE, "utf-32", ("utf-32", "utf-32-le")),
    (codecs.BOM_UTF32_BE, "utf-32", ("utf-32", "utf-32-be")),
    (codecs.BOM_UTF16_LE, "utf-16", ("utf-16", "utf-16-le")),
    (codecs.BOM_UTF16_BE, "utf-16", ("utf-16", "utf-16-be")),
)
_WRONG = "tidemill_wrong_bytes"
# A lone surrogate, written as UTF-8, is no UTF-8: its record is found by that.
codecs.register_error(_WRONG, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Dialect:
    """What a reader has to know. No quote or escape is an empty text."""

    encoding: str = "utf-8"
    separator: str = ","
    quote: str = '"'
    escape: str = ""
    line_end: str = ""
    """Empty: LF, CRLF and CR end a record alike."""
    comment: str = ""
    null_value: str = ""
    trims_left: bool = False
    trims_right: bool = False
    cr_ends: bool = True
    """Whether a CR without LF ends a record; set by how a file's header ends."""

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Dialect:
        """Return the dialect of a source's options, whose names stand in any letters."""
        given = {name.lower(): value for name, value in options.items()}
        escape = unescaped(given.get("escape", ""))
        quote = unescaped(given.get("quote", '"'))
        return cls(
            encoding=codecs.lookup(given.get("encoding", given.get("charset", "utf-8"))).name,
            separator=unescaped(given.get("sep", given.get("delimiter", ","))),
            quote=quote,
            escape="" if escape == quote else escape,
            line_end=unescaped(given.get("linesep", "")),
            comment=unescaped(given.get("comment", "")),
            null_value=given.get("nullvalue", ""),
            trims_left=given.get("ignoreleadingwhitespace", "").lower() == "true",
            trims_right=given.get("ignoretrailingwhitespace", "").lower() == "true",
        )

    @cached_property
    def plain(self) -> Dialect:
        """The dialect of the plain form."""

        def one(letter: str, what: str) -> str:
            return letter if len(letter.encode()) <= 1 else _STAND_INS[what]

        return Dialect(
            separator=one(self.separator, "separator"),
            quote=one(self.quote, "quote"),
            escape=one(self.escape, "escape"),
            comment=self.comment,
            null_value=self.null_value,
            trims_left=self.trims_left,
            trims_right=self.trims_right,
        )

    @cached_property
    def replaced(self) -> dict[str, str]:
        """Letters of the file, each with what stands for it, in the order to put them back in."""
        plain = self.plain
        # First of all what becomes LF: others are put back as LF.
        pairs = {self.line_end: "\n"} if self.line_end else {}
        pairs |= {self.separator: plain.separator, self.quote: plain.quote}
        pairs |= {self.escape: plain.escape}
        for letter in "\r\n" if self.line_end else "":
            pairs.setdefault(letter, _STAND_INS[letter])
        return {letter: other for letter, other in pairs.items() if letter != other}

    @cached_property
    def is_simple(self) -> bool:
        """Whether quotes alone decide what a value is: neither escapes nor trimming."""
        return not (self.escape or self.trims_left or self.trims_right)

    @property
    def passes_bytes(self) -> bool:
        """Whether the plain form is the file's bytes themselves, but for a byte order mark."""
        return self.encoding in ("utf-8", "utf-8-sig") and not self.replaced

    def restore(self, value: str) -> str:
        """Return a value of the plain form as the file has it."""
        for letter, other in self.replaced.items():
            value = value.replace(other, letter)
        return value


def plain_text(chunks: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    """Yield a file's text in the plain form; wrong bytes become what is no UTF-8.

    Raises BadFile where a byte order mark contradicts the encoding.
    """
    chunks = _without_mark(chunks, dialect.encoding)
    if dialect.passes_bytes:
        yield from chunks
        return
    for text in _replaced(_decoded(chunks, dialect.encoding), dialect):
        yield text.encode("utf-8", "surrogatepass")


def _without_mark(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break
    for mark, family, encodings in _BOMS:
        if head.startswith(mark):
            if encoding not in encodings:
                raise BadFile(
                    f"it begins with the byte order mark of {family}, but is to be read as "
                    f"{encoding}; set `options.encoding: {family}` for such files"
                )
            # The decoders of these read the byte order off it.
            yield head if encoding in ("utf-16", "utf-32") else head[len(mark) :]
            break
    else:
        yield head
    yield from chunks


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(_WRONG)
    try:
        for chunk in chunks:
            yield decoder.decode(chunk)
        yield decoder.decode(b"", True)
    except UnicodeError as error:
        # Single wrong bytes go to the handler; this is about the text as a whole.
        raise BadFile(
            f"it is no {encoding} text ({error}); set `options.encoding` to what the file is "
            "written in, as utf-8, cp1252 or utf-16-le"
        ) from error


def _replaced(texts: Iterator[str], dialect: Dialect) -> Iterator[str]:
    letters = sorted(dialect.replaced, key=len, reverse=True)
    if not letters:
        yield from texts
        return
    pattern = re.compile("|".join(map(re.escape, letters)))
    stand_ins = sorted(set(dialect.replaced.values()) - {"\n"})
    foreign = re.compile("|".join(stand_ins) or "(?!)")
    longest, held = len(letters[0]), ""
    for text in texts:
        known = held + text
        cut = max(0, len(known) - longest + 1)
        # What is held back may be the beginning of several letters that mean one.
        for match in pattern.finditer(known, max(0, cut - longest + 1)):
            if match.start() < cut < match.end():
                cut = match.end()
        part, held = known[:cut], known[cut:]
        yield _exchanged(part, pattern, foreign, dialect)
    yield _exchanged(held, pattern, foreign, dialect)


def _exchanged(
    text: str, pattern: re.Pattern[str], foreign: re.Pattern[str], dialect: Dialect
) -> str:
    if found := foreign.search(text):
        raise BadFile(
            f"it holds the control character U+{ord(found[0]):04X}, which stands for a letter of "
            "`sep`, `quote`, `escape` or `lineSep` while the file is read; deliver it with a "
            "separator, quote and escape of one ASCII letter each, and no `lineSep`"
        )
    return pattern.sub(lambda match: dialect.replaced[match[0]], text)
