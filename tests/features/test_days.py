import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from pipelines.features.days import described, few, intersected, joined, missing, spread

START = dt.date(2013, 1, 1)


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number - 1)


def days(*ranges: tuple[int, int]) -> list[tuple[dt.date, dt.date]]:
    return [(day(first), day(last)) for first, last in ranges]


def each(ranges: list[tuple[dt.date, dt.date]]) -> set[dt.date]:
    return {
        first + dt.timedelta(days=n)
        for first, last in ranges
        for n in range((last - first).days + 1)
    }


some_days = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 5)).map(lambda one: (one[0], sum(one))), max_size=8
).map(lambda ranges: days(*ranges))


def test_ranges_that_touch_or_overlap_become_one() -> None:
    assert joined(days((5, 6), (1, 2), (3, 3), (9, 20), (10, 12))) == days((1, 3), (5, 6), (9, 20))
    assert joined([]) == []


def test_a_change_touches_its_day_and_those_that_look_back_to_it() -> None:
    assert spread([day(1), day(9), day(3)], 2) == days((1, 5), (9, 11))
    assert spread([dt.date(9999, 12, 31)], 2) == [(dt.date(9999, 12, 31), dt.date(9999, 12, 31))]


@given(some_days, some_days)
def test_cutting_and_filling_agree_with_sets_of_days(left, right) -> None:
    assert each(intersected(left, right)) == each(left) & each(right)
    whole = (day(1), day(50))
    assert each(missing(whole, left)) == each([whole]) - each(left)


@given(some_days, st.integers(1, 4))
def test_few_ranges_hold_all_days(ranges, most) -> None:
    found = few(ranges, most)
    assert len(found) <= most
    assert each(found) >= each(ranges)
    if len(joined(ranges)) <= most:
        assert found == joined(ranges)


def test_the_smallest_gaps_are_filled_first() -> None:
    assert few(days((1, 1), (3, 3), (9, 9), (20, 20)), 2) == days((1, 9), (20, 20))


def test_days_are_said_in_a_line() -> None:
    assert described(days((1, 1), (3, 4))) == "2013-01-01, 2013-01-03 to 2013-01-04"
    assert described([one for n in range(9) for one in days((1 + 2 * n, 1 + 2 * n))]).endswith(
        "2013-01-11 and 3 more ranges"
    )
