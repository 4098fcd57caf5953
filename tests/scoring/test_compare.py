"""The difference of two versions, and what chance explains of it."""

import numpy as np

from pipelines.scoring.compare import Compared, Judged, differences_of


def judged(labels, days, quality, seed):
    """Chances that know the label as well as `quality` says."""
    noise = np.random.default_rng(seed).normal(size=len(labels))
    chances = 1 / (1 + np.exp(-(quality * (2 * labels - 1) + noise)))
    return Judged(labels, days, chances.reshape(-1, 1), 0.5)


def rows(num_days, per_day=60):
    labels = np.random.default_rng(1).integers(0, 2, num_days * per_day).astype(float)
    return labels, np.repeat([f"2013-01-{day + 1:02d}" for day in range(num_days)], per_day)


def test_a_difference_that_days_explain_is_told_from_one_that_they_do_not():
    labels, days = rows(20)
    good, other, bad = (judged(labels, days, q, s) for q, s in ((1.0, 2), (1.0, 3), (0.2, 4)))
    alike = {one.metric: one for one in differences_of(good, other, "binary")}
    assert alike["roc_auc"].verdict == "chance explains it"
    worse = {one.metric: one for one in differences_of(good, bad, "binary")}
    assert worse["roc_auc"].verdict == "worse"
    assert worse["log_loss"].verdict == "worse", "though its number is higher"
    assert worse["roc_auc"].low < worse["roc_auc"].second - worse["roc_auc"].first < 0
    same = differences_of(good, good, "binary")
    assert {(one.low, one.high) for one in same} == {(0.0, 0.0)}


def test_days_that_differ_make_intervals_wider_than_rows_do():
    labels, days = rows(10)
    good = judged(labels, days, 1.0, 2)
    # On half of the days the other version is far better, on the others far worse.
    lucky = np.array([3.0 if int(day[-1]) % 2 else -1.0 for day in days])
    moody = Judged(labels, days, judged(labels, days, lucky, 3).outputs, 0.5)
    one_day = np.full(len(days), "2013-01-01")
    by_day, by_row = (
        {one.metric: one.high - one.low for one in differences_of(a, b, "binary")}
        for a, b in (
            (good, moody),
            tuple(Judged(labels, one_day, one.outputs, 0.5) for one in (good, moody)),
        )
    )
    assert by_day["accuracy"] > 2 * by_row["accuracy"]


def test_numbers_are_compared_by_their_own_metrics():
    labels, days = np.arange(100.0), np.repeat(["a", "b", "c", "d"], 25)
    first, second = (Judged(labels, days, (labels + off).reshape(-1, 1), 0.5) for off in (2, 1))
    found = {one.metric: one for one in differences_of(first, second, "number")}
    assert (found["mae"].first, found["mae"].second, found["mae"].verdict) == (2.0, 1.0, "better")
    text = "\n".join(Compared(1, 2, "the rows", 100, 4, list(found.values()), ["so"]).lines())
    assert "mae              2.0000       1.0000     -1.0000  -1.0000 .. -1.0000   better" in text
    assert text.endswith("NOTE: so")
