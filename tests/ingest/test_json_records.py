"""What is counted of JSON files before they are read."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.ingest.json_lines import OVER_LINES, UTF_16
from pipelines.ingest.json_records import Census, judge_keys

SOURCE = Source(path="x", format="json", columns=("a", "b"))


def counted(content: str | bytes) -> Census:
    census = Census()
    whole = content.encode() if isinstance(content, str) else content
    for line in whole.split(b"\n"):
        census.add(line, SOURCE.columns)
    return census


def test_each_record_is_counted_good_or_not_and_each_line_that_holds_one():
    census = counted('{"a":1}\n\n{"a":1}{"a":2}\n[]\n[{"a":1},{"c":2}]\n{"a"\n5\n')
    assert (census.lines, census.records) == (5, 7)
    assert judge_keys(census, SOURCE) == "columns differ from those declared: not declared 'c'"
    assert judge_keys(counted('{"a":1}\n{}'), SOURCE) == ("a", "b")


@pytest.mark.parametrize("content", ['[\n{"a":1},\n{"a":2}\n]', '{\n  "a": 1\n}\n'])
def test_a_value_over_many_lines_puts_its_file_aside(content):
    assert judge_keys(counted(content), SOURCE) == OVER_LINES


def test_a_file_in_utf_16_is_put_aside_whole():
    assert judge_keys(counted('{"a":1}\n'.encode("utf-16")), SOURCE) == UTF_16


def test_lines_that_are_no_json_are_no_reason_to_put_a_whole_file_aside():
    assert judge_keys(counted('{"a":1}\n{"a":\n'), SOURCE) == ("a", "b")
    assert judge_keys(counted("text\nmore text\n"), SOURCE) == ("a", "b")
    # Each line closes what it opens: no value goes over lines.
    assert judge_keys(counted('{"a":01}\n{"a":"\\ud800"}\n["x"]\n'), SOURCE) == ("a", "b")


@pytest.mark.parametrize("content", ['{"a": {"c": 1},\n"b": [1]}\n', "[[1, 2],\n[3]]"])
def test_a_value_that_opens_and_closes_amid_lines_goes_over_them(content):
    assert judge_keys(counted(content), SOURCE) == OVER_LINES
