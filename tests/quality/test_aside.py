from pipelines.ingest.aside import _commonest, lines
from pipelines.quality.aside import ENOUGH, is_too_much, shown


def judged(bad, total, allowed=0.5, *, is_fruitless=False):
    return is_too_much(bad, total, allowed, is_fruitless=lambda: is_fruitless)


def test_a_share_is_too_much_from_twenty_on():
    assert judged(ENOUGH, 39)
    assert not judged(ENOUGH, 40), "the share itself is allowed"
    assert not judged(ENOUGH - 1, 20)
    assert not judged(0, 0, is_fruitless=True)


def test_a_few_are_too_much_where_nothing_good_has_come():
    assert judged(1, 1, is_fruitless=True)
    assert not judged(1, 2, is_fruitless=True)
    assert not judged(ENOUGH, ENOUGH, 1.0, is_fruitless=True), "a share of 1 allows all"
    assert judged(1, 100, 0.0, is_fruitless=True)


def test_reasons_are_told_by_how_often_they_were_each_with_an_example():
    found = [("torn", "a.csv"), ("columns", "b.csv"), ("columns", "c.csv"), ("x", ""), ("y", "")]
    assert _commonest(found) == (
        "columns (2 times, for example 'b.csv'); torn (1 time, for example 'a.csv'); "
        "x (1 time); and 1 other reasons"
    )


def test_what_was_put_aside_is_listed():
    row = {"_source_file": "a.csv", "reason": "torn", "raw": "1,2,3"}
    assert lines([row, {**row, "raw": None}], "readings", 3) == [
        "2 of 3 files and records of readings that were put aside",
        *("a.csv: torn", "    '1,2,3'", "a.csv: torn"),
    ]
    assert lines([], "readings", 0) == ["nothing of readings was put aside"]
    assert shown("a" * 99, 3) == "'aaa...'"
