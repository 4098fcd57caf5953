"""The number of decoding threads follows what is measured."""

from __future__ import annotations

import pytest

from pipelines.feed.pace import PERIOD_PIECES, PERIOD_SECONDS, REST_PERIODS, Pace


def period(pace: Pace, rate: float, waited_share: float) -> None:
    """Let a period pass in which rows come at a rate."""
    seconds = PERIOD_SECONDS / PERIOD_PIECES
    for _ in range(PERIOD_PIECES):
        pace.note(round(rate * seconds), waited_share * seconds, seconds)


def settled(rate_of, waited_share_of, start: int = 2, limit: int = 8, periods: int = 12) -> int:
    pace = Pace(start, limit)
    for _ in range(periods):
        period(pace, rate_of(pace.at_once), waited_share_of(pace.at_once))
    return pace.at_once


@pytest.mark.parametrize("enough", [3, 5, 8])
def test_a_store_far_away_takes_as_many_threads_as_help(enough: int) -> None:
    assert settled(lambda n: 1e6 * min(n, enough), lambda n: 0.9) == enough


def test_where_more_threads_do_not_help_it_stays_with_what_it_had() -> None:
    assert settled(lambda n: 1e6, lambda n: 0.9) == 2


def test_where_nobody_waits_nothing_is_tried() -> None:
    assert settled(lambda n: 1e6 * n, lambda n: 0.02) == 2


def test_it_never_passes_its_limit() -> None:
    assert settled(lambda n: 1e6 * n, lambda n: 1.0, limit=4) == 4


def test_after_a_rest_it_tries_again() -> None:
    pace = Pace(2, 8)
    for _ in range(2):
        period(pace, 1e6, 0.9)
    assert pace.at_once == 2
    for _ in range(REST_PERIODS + 1):
        period(pace, 1e6 * pace.at_once, 0.9)
    assert pace.at_once > 2


def test_a_period_is_long_enough_to_measure() -> None:
    pace = Pace(2, 8)
    assert not pace.note(10_000, 10.0, 10.0)
    assert pace.at_once == 2
