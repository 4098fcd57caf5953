import datetime as dt

import pytest

from pipelines.features.covered import add_covered, joined, read_covered


def day(number: int) -> dt.date:
    return dt.date(2013, 1, number)


def days(*ranges: tuple[int, int]) -> list[tuple[dt.date, dt.date]]:
    return [(day(first), day(last)) for first, last in ranges]


def test_ranges_that_touch_or_overlap_become_one() -> None:
    assert joined(days((5, 6), (1, 2), (3, 3), (9, 20), (10, 12))) == days((1, 3), (5, 6), (9, 20))
    assert joined([]) == []


@pytest.mark.spark
def test_days_are_added_to_those_that_are_known(spark, lake) -> None:
    assert read_covered(spark, lake, "flights") == []
    for one in days((1, 3), (4, 4), (9, 9), (2, 3)):
        add_covered(spark, lake, "flights", one)
    assert read_covered(spark, lake, "flights") == days((1, 4), (9, 9))
