"""Fields of CSV records, one record at a time: what RFC 4180 says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pipelines.ingest.dialect import Dialect

UNCLOSED = "the quote that opens in line {line} is never closed"
BEHIND = "text follows the quote that closes the field opened in line {line}"


@dataclass(frozen=True)
class Record:
    """A record: its fields (None: nothing, unquoted), where its text ends and the next begins."""

    fields: list[str | None]
    problem: str
    """Names the line as `{line}`; empty where there is none."""
    problem_at: int
    text_end: int
    end: int


@cache
def _patterns(plain: Dialect) -> tuple[re.Pattern[str], re.Pattern[str]]:
    quote, escape = plain.quote, plain.escape
    q, s, e = (re.escape(letter) for letter in (quote, plain.separator, escape))
    escaped = f"|{e}[{q}{e}{s}\r\n]|{e}" if escape else ""
    lone = "" if plain.cr_ends else r"|\r(?!\n|\Z)"
    bare = re.compile(f"(?:[^{s}\r\n{e}]++{escaped}{lone})*+")
    quoted = f"{q}((?:[^{q}{e}]++|{q}{q}{escaped})*+){q}" if quote else "(?!)"
    return re.compile(quoted), bare


def next_record(text: str, at: int, is_whole: bool, plain: Dialect) -> Record | None:
    """Return the record that begins at `at`; None where the text may go on and ends before it."""
    quoted, bare = _patterns(plain)
    fields: list[str | None] = []
    problem, problem_at = "", 0
    while True:
        begin = at
        if plain.trims_left:
            begin = _passed(text, at, plain)
        if plain.quote and text.startswith(plain.quote, begin):
            match = quoted.match(text, begin)
            if match is None:
                if not is_whole:
                    return None
                return Record(fields, UNCLOSED, begin, len(text), len(text))
            value: str | None = match[1].replace(plain.quote * 2, plain.quote)
            value = _without_escapes(value or "", plain)
            at = match.end()
            if plain.trims_right:
                at = _passed(text, at, plain)
            if text[at : at + 2] == "\r" and not is_whole:
                return None
            if at < len(text) and text[at] != plain.separator and not _width(text, at, plain):
                problem, problem_at = problem or BEHIND, problem_at or begin
                at = _end_of(bare, text, at, is_whole, plain)
        else:
            at = _end_of(bare, text, begin, is_whole, plain)
            value = _bare(text[begin:at], plain)
        fields.append(value)
        if at == len(text):
            return Record(fields, problem, problem_at, at, at) if is_whole else None
        if text[at] == plain.separator:
            at += 1
            continue
        if text[at] == "\r" and at + 1 == len(text) and not is_whole:
            return None
        return Record(fields, problem, problem_at, at, at + _width(text, at, plain))


def records(texts: Iterator[str], plain: Dialect, line: int) -> Iterator[tuple[Record, str]]:
    """Yield the records of a text that begins in line `line`, each with its text; no blank lines.

    A problem is said with its line.
    """
    text, at, counted = "", 0, 0
    for more in _and_end(texts):
        text, at, counted = text[at:] + (more or ""), 0, 0
        while at < len(text):
            if text[at] == "\r" and at + 1 == len(text) and more is not None:
                break
            if width := _width(text, at, plain):
                at += width
                continue
            found = next_record(text, at, more is None, plain)
            if found is None:
                break
            if found.problem:
                line += _num_lines(text, counted, found.problem_at, plain)
                counted = found.problem_at
                said = found.problem.format(line=line)
                found = Record(found.fields, said, counted, found.text_end, found.end)
            if found.text_end > at:
                yield found, text[at : found.text_end]
            at = found.end
        line += _num_lines(text, counted, at, plain)


def _and_end(texts: Iterator[str]) -> Iterator[str | None]:
    yield from texts
    yield None


def _num_lines(text: str, start: int, end: int, plain: Dialect) -> int:
    feeds = text.count("\n", start, end)
    if not plain.cr_ends:
        return feeds
    return feeds + text.count("\r", start, end) - text.count("\r\n", start, end)


def _width(text: str, at: int, plain: Dialect) -> int:
    """Return how many letters of a line's end stand here; 0 where there is none."""
    if text.startswith("\r\n", at):
        return 2
    return int(text[at] == "\n" or (text[at] == "\r" and plain.cr_ends))


def _end_of(pattern: re.Pattern[str], text: str, at: int, is_whole: bool, plain: Dialect) -> int:
    match = pattern.match(text, at)
    end = match.end() if match else at
    # The last letter of all may be a CR: it is one of the value where CR ends no record.
    is_letter = is_whole and not plain.cr_ends and text[end : end + 2] == "\r"
    return end + 1 if is_letter else end


def _passed(text: str, at: int, plain: Dialect) -> int:
    while at < len(text) and text[at] in " \t" and text[at] != plain.separator:
        at += 1
    return at


def _bare(value: str, plain: Dialect) -> str | None:
    if plain.trims_right:
        value = value.rstrip(" \t")
    return None if value in ("", plain.null_value) else _without_escapes(value, plain)


def _without_escapes(value: str, plain: Dialect) -> str:
    if not plain.escape or plain.escape not in value:
        return value
    special = re.escape(plain.escape + plain.quote + plain.separator) + "\r\n"
    return re.sub(f"{re.escape(plain.escape)}([{special}])", r"\1", value)
