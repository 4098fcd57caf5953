"""Records of CSV files: what was written comes back, or is malformed with a reason and its text."""

from __future__ import annotations

import bz2
import csv
import encodings.aliases
import gzip
import io
import lzma
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.config.reader_options import reads_text
from pipelines.errors import LandingError
from pipelines.ingest import csv_census, csv_regular, opened
from pipelines.ingest.drift import BadFile
from tests.ingest.reading import read

WRONG = "the record does not have the 2 fields of the header"


@pytest.mark.parametrize(
    ("content", "good", "malformed"),
    [
        (b'a,b\n1,"say ""hi"""\n2,"a ""b"", c"\n', [("1", 'say "hi"'), ("2", 'a "b", c')], []),
        (b'a,b\n3,"C:\\dir\\"\n4,C:\\x\n', [("3", "C:\\dir\\"), ("4", "C:\\x")], []),
        (b'a,b\n1,"one\ntwo"\n2,ok\n', [("1", "one\ntwo"), ("2", "ok")], []),
        (b'a,b\r\n1,"one\r\ntwo"\r\n2,ok', [("1", "one\r\ntwo"), ("2", "ok")], []),
        (b"a,b\r1,2\r\r3,4\r", [("1", "2"), ("3", "4")], []),
        (b'a,b\n1,x\ry\n2,"p\rq"\r\n3,z\r', [("1", "x\ry"), ("2", "p\rq"), ("3", "z\r")], []),
        (b'a,b\n1,\n2,""\n', [("1", None), ("2", "")], []),
        (b"a,b\n1, x \n\n2,x\n", [("1", " x "), ("2", "x")], []),
        (
            b"a,b\n1\n2,x,y\n3,z\n   \n",
            [("3", "z")],
            [(WRONG, "1"), (WRONG, "2,x,y"), (WRONG, "   ")],
        ),
        (b'a,b\n1,5" pipe\n2,x"y"z\n', [("1", '5" pipe'), ("2", 'x"y"z')], []),
        (
            b'a,b\n1,x\n2,"open\n3,y\n',
            [("1", "x")],
            [("the quote that opens in line 3 is never closed", '2,"open\n3,y\n')],
        ),
        (
            b'a,b\n1,"x\ny"\n2,"open\n3,"y"\n4,z\n',
            [("1", "x\ny"), ("4", "z")],
            [("text follows the quote that closes the field opened in line 4", '2,"open\n3,"y"')],
        ),
        (
            b"a,b\n1,caf\xe9\n2,x\n",
            [("2", "x")],
            [("bytes that are no text of the file's encoding", "1,caf\ufffd")],
        ),
        ("a,b\n1,\ufffd\n2,\u2028\u0085\n".encode(), [("1", "\ufffd"), ("2", "\u2028\u0085")], []),
        (b"a,b\n1,\x00\n", [("1", "\x00")], []),
        (b"a,b\n", [], []),
    ],
)
def test_a_record_is_whole_or_malformed(tmp_path: Path, content, good, malformed) -> None:
    found = read(tmp_path / "x.csv", content)
    assert found.good == good
    assert sorted(found.malformed) == sorted(malformed)
    assert found.layout.num_records == len(good) + len(malformed)


@pytest.mark.parametrize(
    ("content", "options", "good"),
    [
        ('a||b\n1||"x||y"\n2||\n', {"sep": "||"}, [("1", "x||y"), ("2", None)]),
        ("a\u00a6b\n1\u00a6x\n", {"delimiter": "\u00a6"}, [("1", "x")]),
        ("a\tb\n1\tx\n", {"sep": "\\t"}, [("1", "x")]),
        ("a,b\n1,\u2018x,y\u2018\n", {"quote": "\u2018"}, [("1", "x,y")]),
        ('a,b\n1,"x\n2,y"\n', {"quote": ""}, [("1", '"x'), ("2", 'y"')]),
        ('a,b\n1,"x\\"y\\\\"\n2,a\\b\n', {"escape": "\\"}, [("1", 'x"y\\'), ("2", "a\\b")]),
        ("a,b;;1,x\ny;;2,z\r;;", {"lineSep": ";;"}, [("1", "x\ny"), ("2", "z\r")]),
        ("a,b\n1,NA\n2,'NA'\n", {"nullValue": "NA", "quote": "'"}, [("1", None), ("2", "NA")]),
        (
            'a,b\n 1 , "x" \n',
            {"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"},
            [("1", "x")],
        ),
        ("a,b\n1,2\n", {"multiLine": "true"}, [("1", "2")]),
    ],
)
def test_the_options_of_a_source_say_how_its_files_are_written(
    tmp_path: Path, content, options, good
) -> None:
    found = read(tmp_path / "x.csv", content.encode(), **options)
    assert (found.good, found.malformed) == (good, [])


def test_a_comment_below_the_header_is_malformed_and_not_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path / "x.csv", b"# by hand\na,b\n#1,x\n2,y\n# end\n", comment="#")
    assert found.good == [("2", "y")]
    assert {raw for _, raw in found.malformed} == {"#1,x", "# end"}


def test_a_record_longer_than_a_block_and_than_csv_s_limit_is_read(tmp_path: Path) -> None:
    long = "x\n" * 3_000_000
    for content in (f'a,b\n1,"{long}"\n2,y\n', f'a,b\n1,"{long}"\n2,5" y\n'):
        assert read(tmp_path / "x.csv", content.encode()).good[0] == ("1", long)


def test_a_stand_in_of_a_letter_in_the_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"it holds the control character U\+001F, which stands for"):
        read(tmp_path / "x.csv", b"a||b\n1||\x1f\n", sep="||")


PACK = {
    ".gz": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".deflate": zlib.compress,
    ".zst": lambda content: _arrow("zstd", content),
    ".snappy": lambda content: _hadoop(content),
}


def _arrow(codec: str, content: bytes) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def _hadoop(content: bytes) -> bytes:
    """Compress in Hadoop's blocks: their size, then parts, each with the size it takes."""
    import pyarrow as pa

    out = b""
    for block in (content[:2000], content[2000:]):
        parts = [pa.compress(part, "snappy", asbytes=True) for part in (block[:700], block[700:])]
        out += len(block).to_bytes(4, "big")
        out += b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return out


@pytest.mark.parametrize("ending", PACK)
def test_a_compressed_file_is_read_and_half_of_it_is_put_aside(tmp_path: Path, ending: str) -> None:
    content = b"a,b\n" + b"".join(b'%d,"x\n%d"\n' % (number, number) for number in range(900))
    packed = PACK[ending](content)
    assert len(read(tmp_path / f"x.csv{ending}", packed).good) == 900
    with pytest.raises(BadFile, match=r"^damaged: "):
        read(tmp_path / f"x.csv{ending}", packed[: len(packed) // 2])


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst", ".deflate"])
def test_packed_texts_one_behind_the_other_are_one_file_and_garbage_behind_them_is_a_finding(
    tmp_path: Path, ending: str
) -> None:
    parts = [PACK[ending](b"a,b\n1,2\n"), PACK[ending](b"3,4\n")]
    found = read(tmp_path / f"x.csv{ending}", b"".join(parts))
    assert found.good == [("1", "2"), ("3", "4")]
    with pytest.raises(BadFile, match=r"^damaged: "):
        read(tmp_path / f"x.csv{ending}", b"".join([*parts, b"garbage behind the end"]))


TEXT = 'id,note\n1,Gr\u00fc\u00dfe\n2,"a\n""b"""\n3,plain\n'
ENCODINGS = sorted({*encodings.aliases.aliases, *encodings.aliases.aliases.values()})


def test_every_encoding_that_python_knows_is_read_right_or_refused(tmp_path: Path) -> None:
    import codecs

    from pipelines.config.reader_options import check_encoding

    refused = set()
    for name in ENCODINGS:
        try:
            info = codecs.lookup(name)
            check_encoding(name)
        except (LookupError, ValueError):
            refused.add(name)
            continue
        text = TEXT
        try:
            content = info.encode(text)[0]
        except UnicodeError:
            text = TEXT.replace("\u00fc\u00df", "ue")
            content = info.encode(text)[0]
        found = read(tmp_path / "x.csv", content, encoding=name)
        expected = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))][1:]
        assert (found.good, found.malformed) == (expected, []), name
    codecs_of_bytes = {
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "quopri_codec",
        "rot_13",
        "uu_codec",
    }
    assert codecs_of_bytes | {"zlib_codec"} <= refused
    assert {"utf_16", "cp1252", "shift_jis", "latin_1", "utf_7", "cp037"}.isdisjoint(refused)
    assert not any(reads_text(codecs.lookup(name)) for name in ("idna", "punycode", "undefined"))


VALUES = st.text(
    st.sampled_from("ab ,;\"'\\\n\r\t\u2028\u0085\xe9\u20ac\U0001f600\x00"), max_size=8
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=6),
    separator=st.sampled_from(",;\t|"),
    quote=st.sampled_from("\"'"),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030"]),
    chunk=st.sampled_from([1, 3, 7, 4096]),
)
def test_what_python_s_csv_wrote_comes_back(
    tmp_path: Path, rows, separator, quote, ends, quoting, encoding, chunk
) -> None:
    if quoting == csv.QUOTE_MINIMAL and len(ends) == 1:
        # Python's writer leaves the other line end bare, and CRLF may be what comes of it.
        other = {"\n": "\r", "\r": "\n"}[ends]
        rows = [tuple(value.replace(other, "") for value in row) for row in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=separator, quotechar=quote, lineterminator=ends, quoting=quoting
    )
    writer.writerows([("a", "b", "c"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "CHUNK", chunk)
        patch.setattr(csv_census, "_PIECE", 20)
        patch.setattr(csv_regular, "_BLOCK", 7)
        content = out.getvalue().encode(encoding)
        found = read(tmp_path / "x.csv", content, sep=separator, quote=quote, encoding=encoding)
    assert [tuple(value or "" for value in row) for row in found.good] == rows
    assert found.malformed == []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.text(st.sampled_from('a,"\r\n \\'), max_size=40), chunk=st.sampled_from([1, 2, 5, 4096])
)
def test_whatever_stands_in_a_file_no_record_is_lost_or_changed(
    tmp_path: Path, body, chunk
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "CHUNK", chunk)
        patch.setattr(csv_census, "_PIECE", 1)
        patch.setattr(csv_regular, "_BLOCK", 1)
        found = read(tmp_path / "x.csv", f"x,y\n{body}".encode())
    # To `csv` a CR alone is a line's end, here a letter, as the header ends by LF.
    text = re.sub("\r(?!\n)", "?", body)
    records = [tuple(row) for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert found.layout.num_records == len(records) == len(found.good) + len(found.malformed)
    expected = iter(_without_cr(row) for row in records if len(row) == 2)
    for row in found.good:
        assert _without_cr(row) in expected, "in their order, as `csv` has them"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\xff", b"\xc3\xa4"]), max_size=30),
    chunk=st.sampled_from([1, 5, 4096]),
)
def test_bytes_that_are_no_text_cost_their_own_record_alone(tmp_path: Path, body, chunk) -> None:
    content = b"x,y\n" + b"".join(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "CHUNK", chunk)
        patch.setattr(csv_regular, "_BLOCK", 9)
        found = read(tmp_path / "x.csv", content)
    text = b"".join(body).decode("utf-8", "surrogateescape")
    records = [tuple(row) for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert found.layout.num_records == len(records) == len(found.good) + len(found.malformed)
    whole = [row for row in records if len(row) == 2 and "\udcff" not in "".join(row)]
    expected = iter(whole)
    for row in found.good:
        assert tuple(value or "" for value in row) in expected, "in their order, as `csv` has them"
    if found.layout.is_regular:
        assert len(found.good) == len(whole)


def _without_cr(row: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple((value or "").replace("\r", "?") for value in row)


def test_a_store_that_python_cannot_open_is_told_with_the_way_on() -> None:
    with pytest.raises(LandingError, match=r"gs://b/x\.csv can't be opened from Python.*Install"):
        list(opened.read_chunks("gs://b/x.csv"))
