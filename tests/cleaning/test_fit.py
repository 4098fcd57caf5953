"""Bounds of outliers are fitted on a stated range, once the data covers it."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.cleaning.fit import columns_to_fit, fit_bounds, fit_settings
from pipelines.cleaning.treat import type_rows
from pipelines.config.clean import Entity
from pipelines.config.columns import Column, Outliers

pytestmark = pytest.mark.spark


def entity(method="iqr", factor=1.5, last="2013-01-05"):
    fence = Outliers(
        method=method,
        factor=factor,
        date_column="day",
        fit_range=("2013-01-01", last),
        action="null",
    )
    columns = {
        "text_day": Column(type="date"),
        "v": Column(type="double", outliers=fence),
        "same": Column(type="double", outliers=fence),
        "empty": Column(type="double", outliers=fence),
    }
    return Entity(source="s", key="day", columns=columns, derive={"day": "text_day"})


def typed(spark, which):
    days = [(f"2013-01-0{n}", str(n), "7", "", n) for n in range(1, 6)]
    days += [("2013-01-05", "1000", "7", "", 0)]  # older than the row of that day above
    days += [("2013-01-06", "900", "8", "", 9)]  # after the range
    days += [("2013-01-02", "x", "7", "", 99)]  # can't be cast
    rows = [(*d[:4], "f", dt.datetime(2013, 1, 9), d[4]) for d in days]
    schema = "text_day string, v string, same string, empty string, _source_file string, "
    df = spark.createDataFrame(rows, schema + "_source_modified_at timestamp, _row bigint")
    return type_rows(df, "e", which)


def test_tukeys_fences_are_fitted_on_the_newest_good_row_of_each_key_in_the_range(spark):
    which = entity()
    fitted = fit_bounds(typed(spark, which), which, columns_to_fit(which, {}), 3)
    v = fitted["v"]
    assert (v.rows, v.lower, v.upper, v.bronze_version) == (5, -1.0, 7.0, 3)
    assert (v.centre, v.spread) == (3.0, 2.0)


def test_sigma_takes_mean_and_population_standard_deviation(spark):
    which = entity("sigma", factor=2)
    v = fit_bounds(typed(spark, which), which, columns_to_fit(which, {}), 0)["v"]
    assert (v.centre, v.spread) == (3.0, pytest.approx(2**0.5))
    assert (v.lower, v.upper) == (pytest.approx(3 - 2 * 2**0.5), pytest.approx(3 + 2 * 2**0.5))


@pytest.mark.parametrize("method", ["iqr", "sigma"])
def test_a_constant_or_all_null_column_gets_no_bounds(spark, method):
    which = entity(method)
    fitted = fit_bounds(typed(spark, which), which, columns_to_fit(which, {}), 0)
    assert (fitted["same"].lower, fitted["same"].upper, fitted["same"].rows) == (None, None, 5)
    assert (fitted["empty"].lower, fitted["empty"].upper, fitted["empty"].rows) == (None, None, 0)


def test_nothing_is_fitted_before_the_data_reaches_the_end_of_the_range(spark):
    which = entity(last="2013-01-07")
    assert fit_bounds(typed(spark, which), which, columns_to_fit(which, {}), 0) == {}


def test_what_is_stored_under_the_same_settings_is_not_fitted_again(spark):
    which = entity()
    fitted = fit_bounds(typed(spark, which), which, columns_to_fit(which, {}), 0)
    assert columns_to_fit(which, fitted) == {}
    assert set(columns_to_fit(entity(factor=2), fitted)) == {"v", "same", "empty"}
    assert fit_settings(which.columns["v"].outliers) == {
        "method": "iqr",
        "factor": 1.5,
        "date_column": "day",
        "fit_range": ["2013-01-01", "2013-01-05"],
    }
