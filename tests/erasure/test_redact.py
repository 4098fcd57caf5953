"""The texts that an erasure looks for, and Delta's log without them."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.erasure.redact import Unreadable, redact_checkpoint, redact_commit
from pipelines.erasure.subject import Subject
from pipelines.errors import UsageError
from pipelines.privacy.keys import pseudonym

ANN = Subject.of(["email=ann@x.org"], ["k1", "k2"])


def test_a_subject_is_looked_for_in_clear_and_under_each_key() -> None:
    assert ANN.texts == {
        "email": ["ann@x.org", pseudonym(["k1"], "ann@x.org"), pseudonym(["k1", "k2"], "ann@x.org")]
    }
    assert ANN.key_hash.startswith("k2:")
    assert "ann@x.org" not in ANN.key_hash
    assert Subject.of(["a=1", "b=2"], []).key_hash == Subject.of(["b=2", "a=1"], []).key_hash


@pytest.mark.parametrize("pairs", [["email"], ["=x"], ["email="], ["a=1", "a=2"], []])
def test_what_is_no_key_is_refused(pairs: list[str]) -> None:
    with pytest.raises(UsageError, match="COLUMN=VALUE"):
        Subject.of(pairs, [])


def test_a_value_is_named_as_a_whole_word_only() -> None:
    assert ANN.is_named_in("target.`email` >= 'ann@x.org' AND")
    assert ANN.is_named_in('{"minValues":{"email":"ann@x.org"}}')
    for other in ("joann@x.org", "ann@x.organic", "mc.ann@x.org", "ann@xyorg"):
        assert not ANN.is_named_in(f"'{other}'")


def test_a_commit_loses_statistics_of_erased_files_and_conditions_that_name_the_subject() -> None:
    stats = '{"numRecords":1,"minValues":{"email":"ann@x.org"}}'
    actions = [
        {
            "commitInfo": {
                "operation": "MERGE",
                "operationParameters": {"a": "e = ann@x.org"},
            }
        },
        {"add": {"path": "part%201.parquet", "size": 1, "stats": stats}},
        {"add": {"path": "b.parquet", "size": 1, "stats": '{"numRecords":7}'}},
        {"remove": {"path": "c.parquet", "stats": stats}},
    ]
    text = "\n".join(json.dumps(action) for action in actions)

    redacted = redact_commit(text, {"part 1.parquet"}, ANN.is_named_in)

    assert redacted is not None
    assert [json.loads(line) for line in redacted.splitlines()] == [
        {"commitInfo": {"operation": "MERGE", "operationParameters": {"a": "(erased)"}}},
        {"add": {"path": "part%201.parquet", "size": 1}},
        {"add": {"path": "b.parquet", "size": 1, "stats": '{"numRecords":7}'}},
        {"remove": {"path": "c.parquet"}},
    ]
    assert redact_commit(redacted, {"part 1.parquet"}, ANN.is_named_in) is None


def test_a_checkpoint_loses_statistics_of_erased_files_alone() -> None:
    kind = pa.struct(
        [
            ("path", pa.string()),
            ("tags", pa.map_(pa.string(), pa.string())),
            ("stats", pa.string()),
            ("stats_parsed", pa.struct([("maxValues", pa.struct([("email", pa.string())]))])),
        ]
    )
    parsed = {"maxValues": {"email": "ann@x.org"}}
    rows = [
        {"path": "a.parquet", "tags": [("x", "y")], "stats": "ann@x.org", "stats_parsed": parsed},
        None,
        {"path": "b.parquet", "tags": None, "stats": "{}", "stats_parsed": None},
    ]
    table = pa.table({"add": pa.array(rows, kind), "txn": [None, "t", None]})
    content = io.BytesIO()
    pq.write_table(table, content)

    redacted = redact_checkpoint(content.getvalue(), {"a.parquet"}, lambda _: False)

    assert redacted is not None
    assert b"ann@x.org" not in redacted
    found = pq.read_table(io.BytesIO(redacted)).to_pylist()
    assert found[0]["add"]["stats"] is None
    assert found[0]["add"]["stats_parsed"] is None
    assert found[0]["add"]["tags"] == [("x", "y")]
    assert found[1:] == table.to_pylist()[1:]
    assert redact_checkpoint(redacted, {"c.parquet"}, lambda _: False) is None
    named = redact_checkpoint(content.getvalue(), set(), ANN.is_named_in)
    assert named == redacted, "also of files that are there, by what they say"


def test_files_that_a_vacuum_took_lose_their_statistics_too() -> None:
    gone = Unreadable(frozenset({"erased.parquet"}), frozenset({"live.parquet"}))
    assert "erased.parquet" in gone
    assert "vacuumed.parquet" in gone
    for kept in ("live.parquet", "/other/table.parquet", "s3://bucket/other.parquet"):
        assert kept not in gone


def test_letters_beyond_ascii_are_found() -> None:
    subject = Subject.of(["name=J\u00fcrgen \u00c4rger"], [])
    stats = json.dumps({"minValues": {"name": "J\u00fcrgen \u00c4rger"}}, ensure_ascii=False)
    text = json.dumps({"add": {"path": "a.parquet", "stats": stats}}, ensure_ascii=False)
    redacted = redact_commit(text, set(), subject.is_named_in)
    assert redacted is not None
    assert json.loads(redacted) == {"add": {"path": "a.parquet"}}
