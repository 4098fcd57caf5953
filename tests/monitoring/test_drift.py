"""Drift: the population stability index by hand, and when it counts."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.monitoring.bins import Binning
from pipelines.monitoring.drift import SMALLEST_SHARE, compare, psi, psi_by_chance

LIMITS = (0.1, 0.25)
WORDS = Binning("word", values=("x",))
COUNTS = st.lists(st.integers(0, 10_000), min_size=3, max_size=8)


def by_hand(before, now):
    index = 0.0
    for one, other in zip(before, now, strict=True):
        p = max(one / sum(before), SMALLEST_SHARE)
        q = max(other / sum(now), SMALLEST_SHARE)
        index += (q - p) * math.log(q / p)
    return index


@settings(deadline=None)
@given(st.data())
def test_psi_is_that_of_the_formula_by_hand_and_never_negative(data):
    before = data.draw(COUNTS)
    now = data.draw(st.lists(st.integers(0, 10_000), min_size=len(before), max_size=len(before)))
    assume(sum(before) and sum(now))
    assert psi(before, now) == pytest.approx(by_hand(before, now))
    assert psi(before, now) >= 0
    assert psi(before, before) == 0


def test_psi_of_equal_shares_is_zero_whatever_the_totals():
    assert psi((10, 30), (100, 300)) == 0.0


def test_a_constant_that_became_smaller_has_drifted_and_the_bin_is_named():
    same = Binning("temp", 5.0, (5.0,))
    (found,) = compare([same], {"temp": (0, 0, 100, 0)}, {"temp": (0, 100, 0, 0)}, LIMITS)
    assert found.psi == pytest.approx(2 * (1 - SMALLEST_SHARE) * math.log(1 / SMALLEST_SHARE))
    assert (found.severity, found.rows_before, found.rows_now) == ("fail", 100, 100)
    assert (found.moved, found.share_before, found.share_now) == ("below 5.0", 0.0, 1.0)


def test_features_are_judged_by_both_limits_and_exclusions():
    binnings = [Binning(name, values=("x",)) for name in ("calm", "moved", "some", "season")]
    before = {one.column: (5000, 0, 5000) for one in binnings}
    now = {
        "calm": (4800, 0, 5200),
        "moved": (500, 0, 9500),
        "some": (3200, 0, 6800),
        "season": (500, 0, 9500),
    }
    found = {d.feature: d for d in compare(binnings, before, now, LIMITS, exclude=["season"])}
    assert {name: drift.severity for name, drift in found.items()} == {
        "moved": "fail",
        "season": "ok",
        "some": "warn",
        "calm": "ok",
    }
    assert list(found)[:2] == ["moved", "season"]
    assert (found["moved"].missing_before, found["moved"].missing_now) == (0.5, 0.05)


def test_what_so_few_rows_show_by_chance_is_no_drift_and_what_they_can_t_is():
    few = compare([WORDS], {"word": (0, 12, 8)}, {"word": (0, 8, 12)}, LIMITS)[0]
    assert (few.psi > 0.1, few.psi < few.psi_by_chance, few.severity) == (True, True, "ok")
    many = compare([WORDS], {"word": (0, 1200, 800)}, {"word": (0, 800, 1200)}, LIMITS)[0]
    assert (many.psi, many.severity) == (few.psi, "warn")
    clear = compare([WORDS], {"word": (0, 0, 20)}, {"word": (0, 20, 0)}, LIMITS)[0]
    assert clear.severity == "fail"


@pytest.mark.parametrize("num_rows", [50, 100, 200])
def test_small_windows_of_an_unmoved_feature_seldom_alarm(num_rows):
    random = np.random.default_rng(num_rows)
    before = tuple(random.multinomial(10_000, [0.1] * 10).tolist())
    binning = Binning("x", 0.0, tuple(map(float, range(7))))
    draws = random.multinomial(num_rows, [0.1] * 10, 150).tolist()
    alarms = [
        compare([binning], {"x": before}, {"x": tuple(now)}, LIMITS)[0].severity for now in draws
    ]
    assert sum(one != "ok" for one in alarms) <= 2, "without looking at chance it is 120 at 50 rows"


def test_chance_is_told_the_same_each_time():
    assert psi_by_chance((50, 30, 20), (5, 3, 2)) == psi_by_chance((50, 30, 20), (5, 3, 2))
