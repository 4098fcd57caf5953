"""What is made of the first line of a CSV file."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.headers import csv_header, first_line, parse_header

SOURCE = Source(path="x", columns=("a", "b"))


def header_of(content: bytes, source: Source = SOURCE) -> tuple[str, ...]:
    return csv_header(lambda limit: (content[:limit], len(content) < limit), source)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"\xef\xbb\xbfa,b\n1,2\n",
        b"a,b",
        b'"a","b"\n',
        b" a , b \n",
        b"\n  \na,b\n1,2",
    ],
    ids=["plain", "crlf", "bom", "header_only", "quoted", "spaces", "blank_lines"],
)
def test_a_header_is_found(content: bytes) -> None:
    assert header_of(content) == ("a", "b")


def test_a_header_in_another_order_is_kept_in_its_order() -> None:
    assert header_of(b"b,a\n") == ("b", "a")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty: it has no header"),
        (b"\n\n", "the file is empty: it has no header"),
        (b"a\n", "columns differ from those declared: missing 'b'"),
        (b"a,b,c\n", "columns differ from those declared: not declared 'c'"),
        (b"a,B\n", "columns differ from those declared: missing 'b'; not declared 'B'"),
        (b"a,b,a\n", "columns differ from those declared: more than once 'a'"),
        (b"\x1f\x8b\x00\x01a,b\n", "no text: there are zero bytes at its beginning"),
        (
            "a,b,\u00fc\n".encode("latin-1"),
            "its header is no utf-8 text; expected that, or `options.encoding` set",
        ),
        (b"x" * 70_000, "no header: its first line is longer than 65,536 bytes"),
    ],
)
def test_a_bad_header_has_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadFile) as finding:
        header_of(content)
    assert str(finding.value) == reason


def test_a_header_longer_than_the_first_bite_is_read_whole() -> None:
    names = tuple(f"column_{number:04}" for number in range(1000))
    source = Source(path="x", columns=names)
    assert header_of(",".join(names).encode() + b"\n1", source) == names


def test_the_options_of_the_reader_hold_for_the_header_too() -> None:
    options = {"sep": ";", "quote": "'", "comment": "#", "encoding": "windows-1252"}
    source = Source(path="x", columns=("Stra\u00dfe", "b"), options=options)
    content = "# made by hand\n'Stra\u00dfe';b\n".encode("cp1252")
    assert header_of(content, source) == ("Stra\u00dfe", "b")


def test_utf_16_is_read_where_it_is_declared() -> None:
    options = {"encoding": "UTF-16LE"}
    assert first_line("a,b\n1,2".encode("utf-16-le"), False, options) == "a,b"
    assert first_line("a,b\n1,2".encode("utf-16-le")[:-1], False, options) == "a,b"


def test_a_separator_of_two_letters_splits_a_header() -> None:
    assert parse_header("a||b", {"sep": "||"}) == ("a", "b")


def test_of_many_differences_the_first_eight_are_named() -> None:
    with pytest.raises(BadFile, match=r"not declared 'x0', .*'x7' and 4 more$"):
        judge_names(["a", "b", *(f"x{number}" for number in range(12))], SOURCE)
