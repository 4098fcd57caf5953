import datetime as dt

import pytest

from pipelines.features.covered import add_covered, read_covered

DAYS = [dt.date(2013, 1, number) for number in range(1, 10)]


@pytest.mark.spark
def test_days_are_added_to_those_that_are_known(spark, lake) -> None:
    assert read_covered(spark, lake, "flights", "id") == []
    for first, last in ((1, 3), (4, 4), (9, 9), (2, 3)):
        add_covered(spark, lake, "flights", "id", (DAYS[first - 1], DAYS[last - 1]))
    expected = [(DAYS[0], DAYS[3]), (DAYS[8], DAYS[8])]
    assert read_covered(spark, lake, "flights", "id") == expected
    assert read_covered(spark, lake, "flights", "another table") == []
    add_covered(spark, lake, "flights", "another table", (DAYS[5], DAYS[5]))
    assert read_covered(spark, lake, "flights", "another table") == [(DAYS[5], DAYS[5])]
