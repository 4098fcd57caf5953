"""The page on files says of JSON what the parser does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.ingest.json_lines import BadLine, records_in

ROWS = re.findall(
    r"^\| `(.*)` \| (.*) \|$",
    (Path(__file__).parents[2] / "docs/files.md").read_text("utf-8").split("## JSON")[1],
    re.MULTILINE,
)


def what_becomes(line: str) -> str:
    """Say what becomes of a line with the keys `a` and `b`, as the page says it."""
    try:
        records = records_in(line.encode(), ["a", "b"])
    except BadLine as finding:
        return f"aside: {finding}"
    rows = [(record.get("a"), record.get("b")) for record in records]
    said = [["null" if text is None else f"`{text}`" for text in row] for row in rows]
    return "; ".join(map(", ".join, said)) or "nothing"


@pytest.mark.parametrize(("line", "becomes"), ROWS)
def test_the_page_says_what_a_line_of_json_becomes(line, becomes):
    assert what_becomes(line) == becomes


def test_the_page_has_examples():
    assert len(ROWS) > 10
