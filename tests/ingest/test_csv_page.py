"""The tables of docs/files.md are what ingest does; `python -m tests.ingest.test_csv_page`."""

from __future__ import annotations

import gzip
import re
import tempfile
from pathlib import Path

import pytest

from pipelines.config.column_names import column_name
from pipelines.ingest.drift import BadFile
from tests.ingest.reading import read

PAGE = Path(__file__).resolve().parents[2] / "docs/files.md"

CSV: list[tuple[str, bytes, dict[str, str]]] = [
    ("a quote in a quoted field", b'id,note\n1,"say ""hi"""\n', {}),
    ("a backslash before the closing quote", b'id,note\n1,"C:\\dir\\"\n', {}),
    ("a line break in quotes", b'id,note\n1,"one\ntwo"\n', {}),
    ("nothing, and nothing in quotes", b'id,note\n1,\n2,""\n', {}),
    ("a quote within an unquoted field", b'id,note\n1,5" pipe\n', {}),
    ("text behind a closing quote", b'id,note\n1,"one" two\n2,x\n', {}),
    ("a quote that is never closed", b'id,note\n1,x\n2,"one\n3,y\n', {}),
    ("too many or too few fields", b"id,note\n1\n2,x\n3,y,z\n", {}),
    ("CR alone in a file of LF", b"id,note\n1,one\rtwo\n", {}),
    ("U+2028 and U+0085 in a value", "id,note\n1,a\u2028b\u0085c\n".encode(), {}),
    ("a zero byte in a value", b"id,note\n1,a\0b\n", {}),
    ("wrong bytes", b"id,note\n1,caf\xe9\n2,x\n", {}),
    ("cp1252", "id;note\n1;5 \u20ac\n".encode("cp1252"), {"sep": ";", "encoding": "cp1252"}),
    ("UTF-16 with a mark", 'id,note\n1,"\u00fc\n"\n'.encode("utf-16"), {"encoding": "utf-16"}),
    ("the same without the setting", "id,note\n1,\u00fc\n".encode("utf-16"), {}),
    ("UTF-16 without a mark or setting", "id,note\n1,\u00fc\n".encode("utf-16-le"), {}),
    ("a comment before the header", b"# by hand\nid,note\n1,x\n", {"comment": "#"}),
    ("a comment among the rows", b"id,note\n1,x\n# end\n", {"comment": "#"}),
    ("a gz file under another name", gzip.compress(b"id,note\n1,x\n", mtime=0), {}),
    ("a header alone", b"id,note\n", {}),
    ("nothing at all", b"", {}),
]
NAMES = [
    *("plain", "a.b", "Stra\u00dfe", "Umsatz in \u20ac", "Alter (Jahre)", "a, b; c=d"),
    *("_id", "reasons", ""),
]


def _code(text: object) -> str:
    shown = repr(text)[1:-1].replace("|", "&#124;").replace("\\\\", "\\")
    return f"`{shown}`" if shown else "(nothing)"


def _becomes(file: Path, content: bytes, options: dict[str, str]) -> str:
    try:
        found = read(file, content, **options)
    except BadFile as finding:
        return f"file put aside: {finding}"
    told = [_value(row[1]) for row in found.good]
    told += [f"malformed: {reason}" for reason, _ in found.malformed]
    return "; ".join(told) or "no rows"


def _value(value: str | None) -> str:
    if value is None:
        return "null"
    return f"`{value.encode('unicode_escape').decode()}`" if value else "an empty text"


def tables(folder: Path) -> dict[str, str]:
    """Return the tables of the page, by what they are of."""
    csv = ["| a file holds | `note` becomes |", "|---|---|"]
    for what, content, options in CSV:
        csv.append(f"| {what} | {_becomes(folder / 'x.csv', content, options)} |")
    names = ["| in the header | the column |", "|---|---|"]
    names += [f"| {_code(name)} | {_code(column_name(name, 3))} |" for name in NAMES]
    return {"csv": "\n".join(csv), "names": "\n".join(names)}


def with_tables(text: str, folder: Path) -> str:
    """Return the page with its tables as they are now."""
    for name, table in tables(folder).items():
        parts = rf"(<!-- begin {name}:[^\n]*-->\n).*?(<!-- end {name} -->)"
        text, times = re.subn(
            parts, lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text, flags=re.DOTALL
        )
        if times != 1:
            raise ValueError(f"the page has {times} places for the table '{name}'; expected one")
    return text


def test_the_page_says_what_ingest_does(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    if with_tables(text, tmp_path) != text:
        pytest.fail("docs/files.md is old: run `python -m tests.ingest.test_csv_page`")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), Path(folder)), "utf-8")
