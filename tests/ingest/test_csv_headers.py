"""What is made of the header of a CSV file."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.csv_census import take_census
from pipelines.ingest.dialect import Dialect
from pipelines.ingest.drift import BadFile, judge_names, judged_header

SOURCE = Source(path="x", columns=("a", "b"))


@pytest.fixture
def header_of(tmp_path):
    """Return the columns of a file's content, or the reason why it is put aside."""

    def look(content: bytes, source: Source = SOURCE) -> tuple[str, ...] | str:
        (tmp_path / "x.csv").write_bytes(content)
        try:
            layout = take_census(f"file:{tmp_path}/x.csv", Dialect.of(source.options))
        except BadFile as finding:
            return str(finding)
        return judged_header(layout.header, source)

    return look


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"a,b\r1,2\r",
        b"\xef\xbb\xbfa,b\n1,2\n",
        b"a,b",
        b'"a","b"\n',
        b" a , b \n",
        b"\n  \na,b\n1,2",
    ],
    ids=["plain", "crlf", "cr", "bom", "header_only", "quoted", "spaces", "blank_lines"],
)
def test_a_header_is_found(header_of, content: bytes) -> None:
    assert header_of(content) == ("a", "b")


def test_a_header_in_another_order_is_kept_in_its_order(header_of) -> None:
    assert header_of(b"b,a\n") == ("b", "a")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty: it has no header"),
        (b"\n\n", "the file is empty: it has no header"),
        (b"a\n", "columns differ from those declared: missing 'b'"),
        (b"a,b,c\n", "columns differ from those declared: not declared 'c'"),
        (b"a,b,\n", "columns differ from those declared: not declared 'column_3'"),
        (b"a,B\n", "columns differ from those declared: missing 'b'; not declared 'B'"),
        (b"a,b,a\n", "columns differ from those declared: more than once 'a'"),
        (
            b"\x1f\x8b\x00\x01a,b\n",
            "no text: there are zero bytes at its beginning; they look compressed by gzip: give "
            "the file the ending .gz",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-be"),
            "no text: there are zero bytes at its beginning; it looks like UTF-16: set "
            "`options.encoding: utf-16-be`",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "it begins with the byte order mark of utf-16, but is to be read as utf-8; set "
            "`options.encoding: utf-16` for such files",
        ),
        (
            "a,b,\u00fc\n".encode("latin-1"),
            "its header is no utf-8 text; expected that, or `options.encoding` set",
        ),
        (
            b'a,"b\n1,2\n',
            "its header can't be read: the quote that opens in line 1 is never closed",
        ),
        (b"x" * 1_100_000, "no header: its first line is longer than 1,048,576 bytes"),
    ],
)
def test_a_bad_header_has_a_reason(header_of, content: bytes, reason: str) -> None:
    assert header_of(content) == reason


def test_a_header_of_20001_columns_is_read_whole(header_of) -> None:
    names = tuple(f"column_{number:05}" for number in range(20_001))
    source = Source(path="x", columns=names)
    assert header_of(",".join(names).encode() + b"\n1", source) == names


def test_a_header_may_hold_line_breaks_and_quotes_as_values_may(header_of) -> None:
    source = Source(path="x", columns=("a", "b"), headers={"b": 'the "b"\nof ours'})
    assert header_of(b'a,"the ""b""\nof ours"\n1,2\n', source) == ("a", "b")


def test_the_options_of_the_reader_hold_for_the_header_too(header_of) -> None:
    options = {"sep": ";", "quote": "'", "comment": "#", "encoding": "windows-1252"}
    source = Source(path="x", columns=("Stra\u00dfe", "b"), options=options)
    content = "# made by hand\n'Stra\u00dfe';b\n".encode("cp1252")
    assert header_of(content, source) == ("Stra\u00dfe", "b")


def test_utf_16_is_read_where_it_is_declared(header_of) -> None:
    source = Source(path="x", columns=("a", "b"), options={"encoding": "UTF-16LE"})
    assert header_of("a,b\n1,2".encode("utf-16-le"), source) == ("a", "b")


def test_a_separator_of_two_letters_splits_a_header(header_of) -> None:
    source = Source(path="x", columns=("a", "b"), options={"sep": "||"})
    assert header_of(b"a||b", source) == ("a", "b")


def test_of_many_differences_the_first_eight_are_named() -> None:
    with pytest.raises(BadFile, match=r"not declared 'x0', .*'x7' and 4 more$"):
        judge_names(["a", "b", *(f"x{number}" for number in range(12))], SOURCE)


@pytest.mark.parametrize("options", [{}, {"encoding": "cp1252"}], ids=["utf-8", "cp1252"])
@pytest.mark.parametrize(
    ("content", "said", "mended"),
    [
        ("a;b\n1;2\n", "stand between semicolons", {"sep": ";"}),
        ("a\tb\n1\t2\n", "stand between tabs", {"sep": "\t"}),
        ("b|a\n1|2\n", "stand between pipes", {"sep": "|"}),
        ('"a";"b"\n"1";"2"\n', "stand between semicolons", {"sep": ";"}),
    ],
)
def test_a_header_of_another_separator_names_it(header_of, content, said, mended, options) -> None:
    reason = header_of(content.encode(), SOURCE.model_copy(update={"options": options}))
    assert f"{said}, which `options.sep` has to say" in reason
    again = SOURCE.model_copy(update={"options": options | mended})
    assert sorted(header_of(content.encode(), again)) == ["a", "b"]


def test_commas_where_another_separator_is_set_are_named(header_of) -> None:
    semicolons = SOURCE.model_copy(update={"options": {"sep": ";"}})
    assert header_of(b"a,b\n", semicolons).endswith(
        "its names stand between commas, which `options.sep` has to say"
    )


@pytest.mark.parametrize("end", ["\x85", "\x1e", "\u2028"])
def test_a_header_whose_line_ends_otherwise_names_the_letter(header_of, end) -> None:
    content = f"a,b{end}1,2{end}".encode()
    reason = header_of(content)
    written = reason.partition('lineSep: "')[2].partition('"')[0]
    options = {"lineSep": written.encode().decode("unicode_escape")}
    assert options == {"lineSep": end}
    assert header_of(content, SOURCE.model_copy(update={"options": options})) == ("a", "b")


def test_mainframe_files_are_read_by_their_encoding_and_the_end_of_their_lines(header_of) -> None:
    content = "a,b\n1,2\n".encode("cp037").replace(b"\x25", b"\x15")
    options = {"encoding": "cp037"}
    assert "lines seem to end with U+0085" in header_of(
        content, SOURCE.model_copy(update={"options": options})
    )
    options |= {"lineSep": "\x85"}
    assert header_of(content, SOURCE.model_copy(update={"options": options})) == ("a", "b")


@pytest.mark.parametrize("content", [b"17,x\n18,y\n", b"x,2024-12-31\n", b'"x","-1.234,56"\n'])
def test_a_file_without_a_header_is_told_as_one(header_of, content) -> None:
    assert header_of(content).endswith(
        "its first line looks like a row; files need the columns' names in a line before"
    )


def test_text_of_windows_that_is_read_as_latin_1_is_told_as_such(header_of) -> None:
    content = "a,in \u20ac\n".encode("cp1252")
    source = Source(path="x", columns=("a", "euros"), headers={"euros": "in \u20ac"})
    latin = source.model_copy(update={"options": {"encoding": "latin-1"}})
    assert header_of(content, latin).endswith("which `options.encoding: cp1252` reads")
    windows = source.model_copy(update={"options": {"encoding": "cp1252"}})
    assert header_of(content, windows) == ("a", "euros")


def test_labels_of_rows_that_have_no_name_are_told_how_to_name_them(header_of) -> None:
    content = b",a,b\n0,1,2\n"
    assert "needs one in `columns` and in `headers` (`{label: ''}`)" in header_of(content)
    named = Source(path="x", columns=("label", "a", "b"), headers={"label": ""})
    assert header_of(content, named) == ("label", "a", "b")


@pytest.mark.parametrize("content", [b"a,2024\n", b"x,y\n", b"a,b;c\n"])
def test_of_other_headers_nothing_is_guessed(header_of, content) -> None:
    assert "looks like" not in header_of(content)
    assert "stand between" not in header_of(content)
