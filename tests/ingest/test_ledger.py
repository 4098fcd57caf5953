"""Which files changed, and what is said about them."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pipelines.config.ingest import Source
from pipelines.errors import FileChanged
from pipelines.ingest.files import LandingFile, is_glob, literal
from pipelines.ingest.ledger import (
    CORRECTION_BATCH,
    UNREADABLE,
    Batch,
    Known,
    add_unfinished,
    batch_of,
    changed_files,
    files_to_try_again,
    newest_entries,
    sign,
)

T0 = 1_357_000_000_000
STRICT = Source(path="x", columns=("a",))
LENIENT = Source(path="x", columns=("a",), on_change="correction")


def file(path: str, modified_ms: int = T0, length: int = 10) -> LandingFile:
    return LandingFile(path, modified_ms, length, f"file:/l/{path}", f"file:///l/{path}")


def known(modified_ms: int = T0, length: int = 10, status: str = "ingested") -> dict[str, Known]:
    return {"x/a.csv": Known(modified_ms, length, status)}


def test_a_file_that_is_as_it_was_or_new_has_not_changed() -> None:
    assert changed_files([file("x/a.csv"), file("x/b.csv")], known(), STRICT, "x") == []


@pytest.mark.parametrize("now", [file("x/a.csv", T0 + 1), file("x/a.csv", T0, 11)])
def test_another_time_or_size_stops_the_run(now: LandingFile) -> None:
    with pytest.raises(FileChanged) as error:
        changed_files([now], known(), STRICT, "x")
    assert str(error.value) == (
        "x/a.csv of source 'x' changed after it was ingested: then 10 bytes of "
        f"2013-01-01 00:26:40.000 UTC, now {now.length} bytes of {now.modified_at}. A file is read "
        "once. Put the old file back with its time and deliver the new content under a new name, "
        "or let changed files be read again with `ingest.sources.x.on_change: correction`."
    )


def test_a_changed_file_is_read_again_where_the_source_says_so() -> None:
    now = file("x/a.csv", T0 + 1)
    assert changed_files([now], known(), LENIENT, "x") == [now]


def test_a_rejected_file_may_be_mended_in_place() -> None:
    now = file("x/a.csv", T0 + 1)
    assert changed_files([now], known(status="rejected"), STRICT, "x") == [now]


def test_a_correction_that_is_older_than_what_it_corrects_stops_the_run() -> None:
    with pytest.raises(FileChanged, match=r"older than what was read before.*`touch`"):
        changed_files([file("x/a.csv", T0 - 1)], known(), LENIENT, "x")


def test_a_rejected_file_may_be_replaced_by_an_older_one() -> None:
    now = file("x/a.csv", T0 - 1)
    assert changed_files([now], known(status="rejected"), STRICT, "x") == [now]


def test_the_later_batch_of_a_file_counts_and_the_next_number_is_above_all() -> None:
    ledger = newest_entries(
        [
            ("x/a.csv", T0 - 5, 10, "corrected", None, 4),
            ("x/a.csv", T0, 10, "rejected", "cut", 3),
            ("x/old.csv", T0 + 1, 9, "corrected", None, CORRECTION_BATCH),
            ("x/old.csv", T0, 10, "ingested", None, 7),
        ]
    )
    assert ledger.next_batch == 8
    assert ledger.files["x/a.csv"] == Known(T0 - 5, 10, "corrected", "", 4)
    assert ledger.files["x/old.csv"] == Known(T0 + 1, 9, "corrected", "", CORRECTION_BATCH)
    assert newest_entries([]).next_batch == 0


def test_a_file_that_could_not_be_opened_is_tried_again_as_it_was() -> None:
    could_not = Known(T0, 10, "rejected", UNREADABLE + "denied")
    damaged = Known(T0, 10, "rejected", "damaged: cut")
    same, other = file("x/a.csv"), file("x/a.csv", T0 + 1)
    assert files_to_try_again([same], {"x/a.csv": could_not}) == [same]
    assert files_to_try_again([other], {"x/a.csv": could_not}) == []
    assert files_to_try_again([same], {"x/a.csv": damaged}) == []


def test_where_settings_changed_all_rejected_files_are_tried_again_as_they_were() -> None:
    drifted = Known(T0, 10, "rejected", "columns differ from those declared: missing 'a'")
    damaged = Known(T0, 10, "rejected", "damaged: cut")
    same, other = file("x/a.csv"), file("x/a.csv", T0 + 1)

    def again(one: LandingFile, was: Known) -> list[LandingFile]:
        return files_to_try_again([one], {"x/a.csv": was}, is_read_otherwise=True)

    assert again(same, drifted) == [same]
    assert again(other, drifted) == [], "it changed, and is read for that"
    assert again(same, damaged) == [], "no setting mends bytes"
    assert again(same, Known(T0, 10, "ingested")) == []
    assert files_to_try_again([same], {"x/a.csv": drifted}) == []


def test_what_decides_which_files_can_be_read_has_a_sign_of_its_own() -> None:
    assert sign(STRICT) == sign(LENIENT) == sign(Source(path="y", columns=("a",)))
    others = [
        Source(path="x", columns=("b",)),
        Source(path="x", columns=("a",), options={"sep": ";"}),
        Source(path="x", columns=("a",), headers={"a": "A"}),
        Source(path="x", columns=("a",), schema_drift="ignore"),
        Source(path="x", columns=("a",), format="json"),
    ]
    assert len({sign(one) for one in [STRICT, *others]}) == 1 + len(others)


def test_files_of_an_unfinished_batch_count_as_read() -> None:
    batch = Batch("app", 0, 0, (file("x/b.csv"),))
    assert add_unfinished(known(), batch) == {**known(), "x/b.csv": Known(T0, 10, "ingested")}
    assert add_unfinished(known(), None) == known()


def test_letters_of_patterns_in_a_file_name_are_escaped() -> None:
    assert literal("file:/l/a [1]{x}*?.csv") == r"file:/l/a \[1\]\{x\}\*\?.csv"
    assert is_glob("days/2013-*.csv")
    assert not is_glob("days")


def test_a_batch_is_read_as_it_was_noted_by_this_release_and_by_older_ones() -> None:
    one = file("x/b.csv")
    batch = Batch("app", 3, 3, (one,), ("x/b.csv",), {"x/b.csv": "damaged: cut"}, "f00")
    assert batch_of(json.loads(json.dumps(asdict(batch)))) == batch
    facts = {"app_id": "app", "version": T0, "number": -1, "files": [asdict(one)]}
    old = batch_of({**facts, "status": "corrected"})
    assert (old.status(one), old.bad) == ("corrected", {})
    assert batch_of({**facts, "status": "ingested"}).status(one) == "ingested"


def test_a_batch_is_finished_when_the_ledger_has_its_files_by_its_number() -> None:
    batch = Batch("app", 3, 3, (file("x/b.csv"),))
    assert batch.is_in({"x/b.csv": Known(T0, 10, "ingested", "", 3)})
    assert not batch.is_in({"x/b.csv": Known(T0, 10, "rejected", UNREADABLE, 2)})
    assert not batch.is_in({})


def test_a_bad_file_of_an_unfinished_batch_is_no_read_one() -> None:
    batch = Batch("app", 3, 3, (file("x/b.csv"),), bad={"x/b.csv": "damaged: cut"})
    assert add_unfinished({}, batch) == {"x/b.csv": Known(T0, 10, "rejected", "damaged: cut")}
