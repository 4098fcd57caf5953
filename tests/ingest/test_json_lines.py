"""What a line of JSON becomes: records with every value's own letters, or a finding."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.json_lines import BadLine, records_in

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("line", "records"),
    [
        ('{"a":1.10}', [{"a": "1.10"}]),
        (
            '{"a":1e400,"b":12345678901234567890123}',
            [{"a": "1e400", "b": "12345678901234567890123"}],
        ),
        ('{"a":-0.0,"b":1E5}', [{"a": "-0.0", "b": "1E5"}]),
        ('{"a":NaN,"b":-Infinity}', [{"a": "NaN", "b": "-Infinity"}]),
        ('{"a":null,"b":"null"}', [{"a": None, "b": "null"}]),
        ('{"a":true,"b":"true"}', [{"a": "true", "b": "true"}]),
        ('{"a":""}', [{"a": ""}]),
        ("{}", [{}]),
        ("", []),
        (" \t\r", []),
        ("[]", []),
        ('{"id":"1"}{"id":"2"} {"id":"3"}', [{"id": "1"}, {"id": "2"}, {"id": "3"}]),
        ('[{"id":"1"},{"id":"2","extra":"x"}]', [{"id": "1"}, {"id": "2", "extra": "x"}]),
        ('[{"id":"1"}][{"id":"2"}]\r', [{"id": "1"}, {"id": "2"}]),
        ('\ufeff{"a":"\u2028\u0085"}', [{"a": "\u2028\u0085"}]),
        ('{"a":"\\ud83d\\ude00\\u0000"}', [{"a": "\U0001f600\0"}]),
        ('{"a": {"x": [1.50, "y\\n", null], "x": 2} }', [{"a": '{"x":[1.50,"y\\n",null],"x":2}'}]),
        ('{"A":1,"a":2}', [{"A": "1", "a": "2"}]),
    ],
)
def test_a_line_becomes_records_with_the_letters_that_came(line, records):
    assert records_in(line.encode()) == records


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"5", "the line is no JSON object"),
        (b"null", "the line is no JSON object"),
        (b'"text"', "the line is no JSON object"),
        (b'[{"a":1},2]', "the line is no JSON object"),
        (b'{"a":1} 5', "the line is no JSON object"),
        (b'{"a":1', "the line is no JSON object: Expecting ',' delimiter at letter 7"),
        (b'{"a":1},', "the line is no JSON object: Expecting value at letter 8"),
        (b"{'a':1}", "the line is no JSON object: Expecting property name enclosed in double"),
        (b'{"a":1}garbage', "the line is no JSON object: Expecting value at letter 8"),
        (b'{"a":01}', "the line is no JSON object: Expecting ',' delimiter at letter 7"),
        (b'{"a":1,"a":1}', "a key is there more than once: ['a']"),
        (b'{"z":1,"z":2}', "a key is there more than once"),
        (b'{"a":"caf\xe9"}', "bytes that are no UTF-8 text"),
        (b'{"a":"\xed\xa0\x80"}', "bytes that are no UTF-8 text"),
        (b'{"a":"\\ud800"}', "half a letter: a surrogate without its other half"),
        (b'{"\\udc00":1}', "half a letter: a surrogate without its other half"),
        (b'{"a":["\\ud800"]}', "half a letter: a surrogate without its other half"),
        (
            b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
            "the line is no JSON object: it is nested too",
        ),
        (b"[" * 100_000, "the line is no JSON object: it is nested too deeply"),
        ('{"a":1}'.encode("utf-16"), "bytes that are no UTF-8 text, but UTF-16: deliver JSON in"),
    ],
)
def test_what_is_no_record_is_a_finding_about_the_whole_line(line, reason):
    with pytest.raises(BadLine) as finding:
        records_in(line, ["a"])
    assert str(finding.value).startswith(reason)


@given(st.lists(st.dictionaries(st.text(), JSON_VALUES), min_size=1, max_size=3), st.booleans())
def test_every_value_that_json_writes_comes_back(objects, ascii_only):
    line = "".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects)
    if any("\ud800" <= letter <= "\udfff" for letter in line):
        return
    for record, one in zip(records_in(line.encode()), objects, strict=True):
        assert list(record) == list(one)
        for key, value in one.items():
            text = record[key]
            if value is None or isinstance(value, str):
                assert text == value
            else:
                assert json.loads(text) == value
                assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
