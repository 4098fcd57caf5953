"""Drift: bins, counts and the population stability index on literal rows."""

import math

import pytest

from pipelines.monitoring.drift import Binning, compare, count_bins, fit_binnings, psi


def test_psi_is_zero_for_equal_shares_whatever_the_totals():
    assert psi({"a": 10, "b": 30}, {"a": 100, "b": 300}) == 0.0


def test_psi_follows_its_formula():
    found = psi({"a": 50, "b": 50}, {"a": 20, "b": 80})
    expected = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)
    assert found == pytest.approx(expected)


def test_psi_of_a_bin_that_is_new_is_large_but_finite():
    assert 0.25 < psi({"a": 100}, {"a": 50, "b": 50}) < 10


def test_psi_with_nothing_to_compare_is_zero():
    assert psi({}, {"a": 1}) == 0.0


def test_features_are_judged_by_both_limits_and_exclusions():
    before = {name: {"x": 50, "missing": 50} for name in ("calm", "moved", "season")}
    now = {
        "calm": {"x": 52, "missing": 48},
        "moved": {"x": 95, "missing": 5},
        "season": {"x": 95, "missing": 5},
    }
    found = {d.feature: d for d in compare(before, now, warn=0.1, fail=0.25, exclude=["season"])}
    assert {name: drift.severity for name, drift in found.items()} == {
        "calm": "ok",
        "moved": "fail",
        "season": "ok",
    }
    assert (found["moved"].missing_before, found["moved"].missing_now) == (0.5, 0.05)


@pytest.mark.spark
def test_numbers_are_cut_at_quantiles_and_categories_at_their_frequent_values(spark):
    rows = [(float(n), "JFK" if n % 3 else "LGA") for n in range(1, 101)]
    frame = spark.createDataFrame(rows, "distance DOUBLE, origin STRING")
    distance, origin = fit_binnings(frame, ["distance"], ["origin"], bins=4)
    assert distance.edges == (25.0, 50.0, 75.0)
    assert origin.values == ("JFK", "LGA")


@pytest.mark.spark
def test_each_row_counts_in_one_bin_of_each_feature(spark):
    rows = [(1.0, "JFK"), (2.0, "EWR"), (None, None), (float("nan"), "JFK"), (9.0, "JFK")]
    frame = spark.createDataFrame(rows, "temp DOUBLE, origin STRING")
    binnings = [Binning("temp", edges=(1.0, 5.0)), Binning("origin", values=("JFK",))]
    assert count_bins(frame, binnings) == {
        "temp": {"<=1": 1, "<=5": 1, "above": 1, "missing": 2},
        "origin": {"JFK": 3, "other": 1, "missing": 1},
    }


@pytest.mark.spark
def test_a_category_that_training_never_saw_is_counted_as_other(spark):
    binnings = fit_binnings(spark.createDataFrame([], "origin STRING"), [], ["origin"], bins=4)
    now = spark.createDataFrame([("JFK",), (None,)], "origin STRING")
    assert count_bins(now, binnings) == {"origin": {"other": 1, "missing": 1}}


@pytest.mark.spark
def test_a_column_without_any_value_has_only_missing_ones(spark):
    frame = spark.createDataFrame([(None, None)], "gust DOUBLE, plane STRING")
    binnings = fit_binnings(frame, ["gust"], ["plane"], bins=10)
    assert count_bins(frame, binnings) == {"gust": {"missing": 1}, "plane": {"missing": 1}}
