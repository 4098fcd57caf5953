"""What values suggest: each way of writing a number or a day suggests the cast that reads it."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.columns import Column
from pipelines.profiling.casts import TEXT, Cast, day_month_pairs, suggested, together

days = st.dates(dt.date(1950, 1, 1), dt.date(2049, 12, 31))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "22", "-3"], Cast("bigint")),
        (["1", "2.5", "1e3"], Cast("double")),
        (["1.234,56", "12,5"], Cast("double", ("1.234,56",))),
        (["1,234.56", "12.5"], Cast("double", ("1,234.56",))),
        (["1'234.56", "1'000.00"], Cast("double", ("1'234.56",))),
        (["yes", "No"], Cast("boolean")),
        (["2024-01-31"], Cast("date")),
        (["2024-01-31T10:00:00+02:00"], Cast("timestamp")),
        (["31.1.2024"], Cast("date", ("d.M.yyyy",))),
        (["31/01/2024 17:05"], Cast("timestamp", ("d/M/yyyy H:mm",))),
        (["1/31/2024 5:05 PM"], Cast("timestamp", ("M/d/yyyy h:mm a",))),
        (["31 Jan 2024"], Cast("date", ("d MMM yyyy",))),
        (["20240131"], Cast("date", ("yyyyMMdd",))),
    ],
)
def test_a_way_of_writing_suggests_its_cast(texts, expected):
    assert expected in suggested(texts)


@pytest.mark.parametrize("text", ["12,5 %", "€ 12,50", "-3,5%", "12,50 EUR"])
def test_a_number_beside_a_sign_is_derived_with_its_decimal_comma(text):
    (cast,) = (one for one in suggested([text]) if one.derive)
    assert "translate" in cast.derive


@pytest.mark.parametrize("text", ["$1,234.50", "12.5%", "$ 12"])
def test_a_number_beside_a_sign_is_derived_with_its_point(text):
    (cast,) = (one for one in suggested([text]) if one.derive)
    assert "translate" not in cast.derive


@pytest.mark.parametrize("texts", [["red", "blue"], ["12 of 15"], ["A-17"], ["0", "1", "maybe"]])
def test_what_looks_like_nothing_stays_text(texts):
    assert not [one for one in suggested(texts) if one not in (Cast("bigint"), TEXT)]


def test_plain_zeros_and_ones_are_numbers():
    assert suggested(["0", "1"]) == [Cast("bigint")]


def test_seconds_and_milliseconds_since_1970_are_times():
    kinds = [cast.derive for cast in suggested(["1704103200000"]) if cast.derive]
    assert kinds == ["timestamp_millis(CAST({column} AS BIGINT))"]


@given(st.lists(days, min_size=1, max_size=20), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y"]))
def test_days_with_slashes_suggest_both_orders_as_a_pair(found, written):
    casts = suggested([day.strftime(written) for day in found])
    assert (Cast("date", ("d/M/yyyy",)), Cast("date", ("M/d/yyyy",))) in day_month_pairs(casts)


@given(st.lists(st.text(max_size=12), max_size=30))
def test_each_suggestion_is_a_setting_that_a_column_takes(texts):
    for cast in suggested(texts):
        Column.model_validate({} if cast.derive else cast.settings)


def test_days_written_twice_become_one_cast():
    both = together([Cast("date"), Cast("date", ("d.M.yyyy",))])
    assert both == Cast("date", ("yyyy-MM-dd", "d.M.yyyy"))
    Column.model_validate(both.settings)
