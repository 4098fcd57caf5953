"""What stands in a table's log is read as it stands there, or refused with what is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.erasure.redact import redact_commit
from pipelines.errors import LogDamaged, TableNotFound, UsageError, VersionNotFound
from pipelines.lake.catalog import Lake
from pipelines.lake.delta_log import committed_by
from pipelines.lake.log_text import documents
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.statistics import statistics
from tests.lake.logs import PROTOCOL, add, column, commit, metadata

NO_LINE_ENDS = "\u2028 \u2029 \x85 \x1c \x1d \x1e \x0b \x0c"
TEXT = metadata(column("x", "string"))


@given(
    values=st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1),
    indent=st.none() | st.integers(0, 3),
    end=st.sampled_from(["", "\n", "\r\n", "\n\n"]),
)
def test_every_object_of_a_log_comes_back_whatever_stands_in_it(values, indent, end):
    text = "\n".join(json.dumps(one, ensure_ascii=False, indent=indent) for one in values) + end
    text = text.encode(errors="replace").decode()
    found = list(documents(text.encode(), "commit"))
    assert [value for _, value in found] == [json.loads(written) for written, _ in found]
    assert [value for _, value in found] == [
        json.loads(json.dumps(one, ensure_ascii=False).encode(errors="replace")) for one in values
    ]


def test_a_value_with_unicodes_other_line_ends_leaves_the_log_readable(tmp_path):
    stats = {"numRecords": 3, "minValues": {"x": NO_LINE_ENDS}, "maxValues": {"x": NO_LINE_ENDS}}
    action = add("a", json.dumps(stats, ensure_ascii=False))
    # JSON asks for escapes of the ones below 0x20 only; Delta writes the others as they are.
    commit(tmp_path / "t", 0, PROTOCOL, TEXT, action)
    assert take_snapshot(str(tmp_path / "t")).num_rows == 3


def test_a_log_written_over_several_lines_is_read(tmp_path):
    stats = json.dumps({"numRecords": 3}, indent=2)
    commit(tmp_path / "t", 0, PROTOCOL, TEXT, add("a", stats), indent=2)
    commit(tmp_path / "t", 1, add("b", stats), indent=4)
    assert take_snapshot(str(tmp_path / "t")).num_rows == 6


def test_erasing_a_subject_keeps_values_with_other_line_ends_whole():
    info = {"commitInfo": {"operationParameters": {"predicate": f"name = 'Ada{NO_LINE_ENDS}'"}}}
    kept = json.dumps({"txn": {"appId": NO_LINE_ENDS}}, ensure_ascii=False)
    text = json.dumps(info, ensure_ascii=False) + "\n" + kept + "\n"
    redacted = redact_commit(text, frozenset(), lambda said: "Ada" in said)
    first, second, end = redacted.split("\n")
    assert json.loads(first)["commitInfo"]["operationParameters"]["predicate"] == "(erased)"
    assert (second, end) == (kept, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"add": {"path": "b", "partit', "the JSON object that begins in line 1 is broken"),
        (b'{"commitInfo": {}}\n{"add": {"pa', "the JSON object that begins in line 2 is broken"),
        (b"", "it is empty"),
        (b"\0" * 40, "the JSON object that begins in line 1 is broken"),
        (b'{"commitInfo": "\xff"}', "byte 17 is no UTF-8"),
        (b"[1]", r"'\[1\]' is no JSON object"),
    ],
)
def test_a_torn_commit_is_named_and_the_version_before_it_can_be_read(tmp_path, content, message):
    table = tmp_path / "t"
    commit(table, 0, PROTOCOL, TEXT, add("a", {"numRecords": 3}))
    commit(table, 1).write_bytes(content)
    with pytest.raises(LogDamaged, match=rf"0001\.json is damaged: {message}.*take it away"):
        take_snapshot(str(table))
    assert take_snapshot(str(table), 0).num_rows == 3


def test_a_log_without_schema_or_protocol_is_told_so(tmp_path):
    commit(tmp_path / "a", 0, PROTOCOL, add("a", {"numRecords": 3}))
    with pytest.raises(LogDamaged, match="has no `metaData` up to version 0"):
        take_snapshot(str(tmp_path / "a"))
    commit(tmp_path / "b", 0, TEXT, add("a", {"numRecords": 3}))
    with pytest.raises(LogDamaged, match="has no `protocol` up to version 0"):
        take_snapshot(str(tmp_path / "b"))
    commit(tmp_path / "c", 0, PROTOCOL, {"metaData": {"id": "1", "schemaString": None}})
    with pytest.raises(LogDamaged, match=r"has no `metaData\.schemaString`"):
        take_snapshot(str(tmp_path / "c"))


def test_a_gap_in_the_log_is_told_with_the_versions_that_can_be_read(tmp_path):
    table = tmp_path / "t"
    commit(table, 0, PROTOCOL, TEXT)
    for version in (1, 3, 4):
        commit(table, version, add(str(version), {"numRecords": 1}))
    for version in (4, None, 3, 2):
        with pytest.raises(VersionNotFound, match=r"its log tells versions 0 to 1\. The commit 2"):
            take_snapshot(str(table), version)
    assert take_snapshot(str(table), 1).num_rows == 1
    with pytest.raises(VersionNotFound, match=r"at version 9: its log .* 0 to 1\. Give"):
        take_snapshot(str(table), 9)
    (table / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(VersionNotFound, match=r"its log tells no version\. The commit 0"):
        take_snapshot(str(table))


@pytest.mark.parametrize("version", [-1, "1", 1.0, True])
def test_what_is_no_version_is_refused(tmp_path, version):
    commit(tmp_path / "t", 0, PROTOCOL, TEXT)
    assert take_snapshot(str(tmp_path / "t"), np.int64(0)).version == 0
    with pytest.raises(UsageError, match=f"{version!r} is no version of a table; expected a whole"):
        take_snapshot(str(tmp_path / "t"), version)


def test_a_log_folder_without_a_commit_is_no_table(tmp_path):
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    (tmp_path / "t" / "_delta_log" / "0.crc").touch()
    with pytest.raises(TableNotFound, match="_delta_log/ holds no commit"):
        take_snapshot(str(tmp_path / "t"))


def test_a_file_is_one_file_however_its_path_is_spelled(tmp_path):
    table = tmp_path / "t"
    commit(table, 0, PROTOCOL, TEXT, add("/data/a%20b", {"numRecords": 3}))
    commit(table, 1, {"remove": {"path": "file:/data/a%20b", "dataChange": True}})
    assert take_snapshot(str(table)).num_rows == 0


@pytest.mark.parametrize(
    ("said", "run"),
    [("run-1", "run-1"), ('{"run_id": "run-1"}', "run-1"), ("{foreign", "{foreign")],
)
def test_the_run_of_a_commit_is_read_whatever_other_writers_note(tmp_path, said, run):
    lake = Lake(str(tmp_path))
    info = {"commitInfo": {"userMetadata": said}}
    commit(tmp_path / "gold" / "t", 0, info, PROTOCOL, TEXT)
    assert committed_by(lake, "gold.t", 0) == run


def test_statistics_of_very_many_files_are_read_each_to_its_file():
    texts = [None if at % 3 else f'{{"numRecords":{at}}}' for at in range(250_001)]
    counts, positions = statistics(texts, None)
    assert counts == [None if at % 3 else at for at in range(250_001)]
    assert positions == [None] * 250_001


@given(
    st.lists(
        st.none()
        | st.sampled_from(["", "{}", "null", "[]", "{broken", '{"numRecords": "7"}'])
        | st.builds(
            lambda rows, least, indent, more: json.dumps(
                {"numRecords": rows, "minValues": {"p.1": least, **more}}, indent=indent
            ),
            st.integers(0, 2**40),
            st.integers(-(2**40), 2**40),
            st.none() | st.integers(0, 2),
            st.dictionaries(st.text(min_size=4), st.text() | st.floats(allow_nan=False)),
        )
    )
)
def test_statistics_that_cannot_be_read_are_missing_and_the_others_keep_their_places(texts):
    counts, positions = statistics(texts, "p.1")
    expected = []
    for text in texts:
        try:
            plain = json.loads(text or "{}")
        except ValueError:
            plain = {}
        plain = plain if isinstance(plain, dict) else {}
        rows = plain.get("numRecords")
        expected.append((rows if isinstance(rows, int) else None, plain.get("minValues")))
    assert counts == [rows for rows, _ in expected]
    assert positions == [least["p.1"] if least else None for _, least in expected]
