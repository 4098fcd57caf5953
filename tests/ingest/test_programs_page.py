"""What docs/files.md says of programs' files is tried on rows written as they write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.ingest.reading import read

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
TEXTS = ["M\u00fcller & S\u00f6hne", 'say "hi"', "a;b,c", "C:\\dir\\new", "NULL", "00012", " x "]
ROWS = [(str(number), text) for number, text in enumerate([*TEXTS, "tab\there", "two\nlines"])]


def lines(rows: list[tuple[str, str]], **form: str) -> str:
    text = io.StringIO()
    csv.writer(text, **{"lineterminator": "\r\n", **form}).writerows([("id", "name"), *rows])
    return text.getvalue()


def plain(rows: list[tuple[str, str]], sep: str) -> str:
    return "".join(f"{number}{sep}{text}\n" for number, text in [("id", "name"), *rows])


def of_mysql(rows: list[tuple[str, str]]) -> str:
    def escaped(text: str) -> str:
        return re.sub(r"([\\\t\n])", r"\\\1", text)

    return plain([(number, escaped(text)) for number, text in rows], "\t")


def of_r(rows: list[tuple[str, str]]) -> str:
    quoted = [f'{number},"{text.replace(chr(34), chr(34) * 2)}"' for number, text in rows]
    return "\n".join(['"id","name"', *quoted, ""])


SIMPLE, ONE_LINE = ROWS[:-1], [row for row in ROWS if "\n" not in row[1]]
WRITTEN: dict[str, tuple[Callable[[], bytes], list[tuple[str, str]]]] = {
    "Excel, Unicode text": (lambda: lines(ROWS, delimiter="\t").encode("utf-16"), ROWS),
    "Excel, CSV in western Europe": (lambda: lines(ROWS, delimiter=";").encode("cp1252"), ROWS),
    "SAP list with pipes": (lambda: plain(SIMPLE, "|").encode("cp1252"), SIMPLE),
    "Google Sheets": (lambda: lines(ROWS).removesuffix("\r\n").encode(), ROWS),
    "PostgreSQL, COPY with csv and header": (
        lambda: lines(ROWS, lineterminator="\n").encode(),
        ROWS,
    ),
    "MySQL, INTO OUTFILE": (lambda: of_mysql(ROWS).encode(), ROWS),
    "R, write.csv": (lambda: of_r(ROWS).encode(), ROWS),
    "pandas, to_csv": (lambda: lines(ROWS, lineterminator="\n").encode(), ROWS),
    "mainframe": (lambda: lines(ONE_LINE, lineterminator="\n").encode("cp037"), ONE_LINE),
    "mainframe, lines end with NEL": (
        lambda: lines(ONE_LINE, lineterminator="\x85").encode("cp037"),
        ONE_LINE,
    ),
}
[BLOCK] = re.findall(r"### Written by\n.*?```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
OPTIONS = yaml.safe_load(BLOCK)


def test_the_page_and_this_test_know_the_same_programs():
    assert list(OPTIONS) == list(WRITTEN)


@pytest.mark.parametrize("program", WRITTEN)
def test_what_a_program_writes_comes_in_value_by_value_by_the_options_of_the_page(
    tmp_path, program
):
    write, rows = WRITTEN[program]
    found = read(tmp_path / "x.csv", write(), **OPTIONS[program])
    assert found.layout.header == ("id", "name")
    assert (found.good, found.malformed) == (rows, [])


@pytest.mark.parametrize(
    ("program", "content"),
    [
        ("MySQL, INTO OUTFILE", b"id\tname\n1\t\\N\n2\tNA\n"),
        ("R, write.csv", b'"id","name"\n1,NA\n2,"NA"\n'),
    ],
)
def test_what_a_program_writes_for_a_missing_value_is_null_and_a_text_of_its_letters_is_none(
    tmp_path, program, content
):
    found = read(tmp_path / "x.csv", content, **OPTIONS[program])
    assert found.good == [("1", None), ("2", "NA")]
