"""Splits by day: three parts in order, all with labelled rows, whatever the days are."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipelines.config.normalize import Split
from pipelines.profiling.facts import DayFacts
from pipelines.profiling.plan import check_rows, split_by_day, split_by_key

START = dt.date(2024, 1, 1)
days = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), min_size=3, max_size=60)


def facts(found):
    by_day = dict(found)
    return DayFacts([(START + dt.timedelta(days=n), by_day[n], by_day[n]) for n in sorted(by_day)])


@given(days)
def test_each_part_of_a_split_by_day_has_labelled_rows(found):
    one = facts(found)
    if len(one.days) < 3:
        return
    split, why = split_by_day(one, None)
    TypeAdapter(Split).validate_python(split)
    for part in ("train", "validation", "test"):
        first, last = split[part]
        assert any(first <= day <= last for day, _, _ in one.days), part
    assert "labelled rows before" in why


def test_a_test_from_a_day_on_begins_on_that_day():
    split, _ = split_by_day(facts([(n, 10) for n in range(20)]), dt.date(2024, 1, 15))
    assert split["test"] == [dt.date(2024, 1, 15), dt.date(2024, 1, 20)]
    assert split["validation"][1] == dt.date(2024, 1, 14)


def test_a_day_that_leaves_no_rows_on_one_side_is_told_so():
    one = facts([(n, 10) for n in range(20)])
    for day in (dt.date(2024, 1, 1), dt.date(2025, 1, 1)):
        with pytest.raises(ValueError, match="rows are of 2024-01-01 to 2024-01-20"):
            split_by_day(one, day)


def test_a_split_by_key_leaves_rows_to_train_on():
    for rows in (20, 1_999, 2_000, 10**6):
        TypeAdapter(Split).validate_python(split_by_key(rows)[0])


def test_too_few_rows_are_told_so():
    with pytest.raises(ValueError, match="'bought' has a value in 19 rows; 20 are needed"):
        check_rows("bought", 19)
