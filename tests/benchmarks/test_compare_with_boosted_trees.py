"""The comparison with boosted trees, on rows made up here."""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import pytest

from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec
from tests.benchmarks.compare_with_boosted_trees import aucs, bootstrap, compare

SPEC = FeatureSpec(
    key=("id",),
    date="day",
    features=(
        FittedNumeric(name="x", column="x", raw_type="double"),
        FittedCategory(name="c", column="c", raw_type="string", vocabulary=("a", "b")),
    ),
)
OPTIONS = argparse.Namespace(rounds=5, resamples=120, seed=0)


def made_up(num_rows: int = 900) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(4)
    x = random.normal(size=num_rows)
    rows = pd.DataFrame(
        {
            "_row": [f"{n}" for n in range(num_rows)],
            "_day": [f"2024-01-{1 + n % 10:02}" for n in range(num_rows)],
            "_split": np.repeat(["train", "validation", "test"], num_rows // 3),
            "_label": (random.random(num_rows) < 1 / (1 + np.exp(-2 * x))).astype(float),
            "raw_x": x,
            "raw_c": random.choice(["a", "b", None], num_rows),
        }
    )
    scored = rows.loc[rows["_split"] == "test", ["_row", "_day", "_label", "raw_x"]]
    return rows, scored.rename(columns={"raw_x": "prediction"})


def test_a_champion_that_knows_the_truth_is_not_worse_and_one_that_guesses_is(capsys) -> None:
    rows, scored = made_up()
    assert compare(rows, SPEC, scored, OPTIONS) == 0
    said = capsys.readouterr().out
    assert "300 test rows of 10 days; champion - trees = " in said
    assert "120 resamples of the days" in said
    wrong = scored.assign(prediction=-scored["prediction"])
    assert compare(rows, SPEC, wrong, OPTIONS) == 1
    assert "The trees are better: the interval lies below zero." in capsys.readouterr().out


def test_a_row_that_the_trees_lack_stops_the_comparison() -> None:
    rows, scored = made_up()
    with pytest.raises(SystemExit, match="300 rows were scored, the trees have 299 of them"):
        compare(rows.iloc[:-1], SPEC, scored, OPTIONS)


def test_weighted_auc_is_that_of_repeated_rows() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 60), random.integers(0, 9, 60)
    times = random.integers(1, 4, 60)
    repeated = roc_auc_score(np.repeat(labels, times), np.repeat(scores, times))
    assert aucs(labels, scores, times[None].astype(float))[0] == pytest.approx(repeated)


def test_resamples_take_days_whole_so_that_what_a_day_has_in_common_widens_the_interval() -> None:
    random = np.random.default_rng(0)
    days = np.repeat(np.arange(30), 100)
    weather = np.repeat(random.normal(size=30), 100)
    labels = (random.random(3000) < 1 / (1 + np.exp(-weather))).astype(int)
    scores = (weather + random.normal(size=3000), random.normal(size=3000))
    by_day = bootstrap(labels, scores, days, 300, seed=1)
    by_row = bootstrap(labels, scores, np.arange(3000), 300, seed=1)
    assert by_day.std() > 1.5 * by_row.std()
    assert by_day.mean() == pytest.approx(by_row.mean(), abs=0.03)
    with pytest.raises(SystemExit, match="of one day"):
        bootstrap(labels, scores, np.zeros(3000), 10, seed=1)
