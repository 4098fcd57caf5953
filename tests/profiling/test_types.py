"""Types by evidence: what is kept as text, which words mean nothing, when an order is refused."""

from dataclasses import replace

import pytest

from pipelines.profiling.casts import TEXT, Cast
from pipelines.profiling.facts import NumberFacts
from pipelines.profiling.types import likely, more_casts, sentinels, typed, writes_commas
from tests.profiling.facts import DAY, FRACTION, WHOLE, column

DAY_FIRST, MONTH_FIRST = Cast("date", ("d/M/yyyy",)), Cast("date", ("M/d/yyyy",))
COMMA, THOUSANDS = Cast("double", ("1234,56",)), Cast("double", ("1,234.56",))


def numbers(least, largest, count=100):
    middle = (least + largest) / 2
    return NumberFacts(count, least, least, middle, middle, middle, largest, largest, middle, 1.0)


def test_digits_with_zeros_before_them_stay_text():
    one = typed(column(values=["007", "12"], fits={WHOLE: ()}))
    assert one.cast == TEXT
    assert one.why == ("text: 1 values begin with a zero that a number would lose",)


def test_more_digits_than_a_number_keeps_stay_text():
    one = typed(column(values=["12345678901234567", "12"], fits={WHOLE: ()}))
    assert one.cast == TEXT


def test_words_for_nothing_among_numbers_are_found_and_named():
    values = ["1.5", "2.5", "n/a", "-", "2"] * 10
    one = typed(column(values=values, fits={FRACTION: ("n/a", "-")}))
    assert one.cast == FRACTION
    assert set(one.null_values) == {"n/a", "-"}
    assert "missing: '-' (10), 'n/a' (10)" in one.why
    assert one.present == 30


def test_a_country_is_no_missing_value_where_texts_are_meant():
    one = typed(column(values=["NA", "DE", "FR", "NULL"] * 5))
    assert one.null_values == ("NULL",)


def test_few_values_that_do_not_fit_go_into_quarantine_and_are_told():
    one = typed(column(values=["1"] * 99 + ["oops"], fits={WHOLE: ("oops",)}))
    assert one.cast == WHOLE
    assert "into quarantine: 'oops' (1)" in one.why


def test_many_values_that_do_not_fit_make_a_text():
    one = typed(column(values=["1"] * 9 + ["oops"], fits={WHOLE: ("oops",)}))
    assert one.cast == TEXT
    assert one.why == ("text: 1 of 10 values are no bigint, such as 'oops' (1)",)


def test_a_day_that_fits_both_orders_is_refused():
    facts = column(values=["1/2/2024", "3/4/2024"], fits={DAY_FIRST: (), MONTH_FIRST: ()})
    one = typed(facts)
    assert one.cast == TEXT
    assert one.unclear == "d/M/yyyy and M/d/yyyy fit all 2 values"


@pytest.mark.parametrize(("day_first", "expected"), [(True, DAY_FIRST), (False, MONTH_FIRST)])
def test_a_day_of_unclear_order_is_read_as_asked_for(day_first, expected):
    facts = column(values=["1/2/2024", "3/4/2024"], fits={DAY_FIRST: (), MONTH_FIRST: ()})
    assert typed(facts, day_first=day_first).cast == expected


def test_one_day_behind_the_twelfth_tells_the_order():
    facts = column(
        values=["1/2/2024", "31/4/2024"], fits={DAY_FIRST: (), MONTH_FIRST: ("31/4/2024",)}
    )
    one = typed(facts)
    assert (one.cast, one.unclear) == (DAY_FIRST, "")


def test_a_thousand_or_a_fraction_is_decided_by_the_other_columns():
    unclear = column("a", ["1,234", "5,678"], {COMMA: (), THOUSANDS: ()})
    sure = column("b", ["1,5", "2,5"], {Cast("double", ("1.234,56",)): (), COMMA: ()})
    assert writes_commas([unclear, sure])
    assert not writes_commas([unclear])
    assert likely(unclear, commas=True) == COMMA
    assert likely(unclear) in (COMMA, THOUSANDS)


def test_days_of_another_form_among_days_are_tried_together():
    facts = column(values=["2024-01-01"] * 5 + ["1.2.2024"], fits={DAY: ("1.2.2024",)})
    assert Cast("date", ("yyyy-MM-dd", "d.M.yyyy")) in more_casts(facts, DAY)


def test_nines_far_beyond_all_others_are_missing_values():
    facts = column(values=["1.5", "2.5", "999.9", "999.9"], fits={FRACTION: ()})
    one = typed(facts)
    assert sentinels(one, numbers(1.5, 999.9), numbers(1.5, 2.5, 2)) == ("999.9",)


def test_nines_are_found_as_the_files_write_them():
    written = Cast("double", ("1.234,56",))
    one = typed(column(values=["1,5", "2,5", "999,9", "999,9"], fits={written: ()}))
    assert sentinels(one, numbers(1.5, 999.9), numbers(1.5, 2.5, 2)) == ("999,9",)


def test_nines_among_others_are_values():
    facts = column(values=["500", "999", "999", "1400"], fits={WHOLE: ()})
    one = typed(facts)
    assert sentinels(one, numbers(500, 1400), numbers(500, 1400, 2)) == ()


def test_a_column_of_parquet_keeps_its_type():
    facts = replace(column(values=["1", "2"]), kind="bigint")
    assert typed(facts).cast == Cast("bigint")
