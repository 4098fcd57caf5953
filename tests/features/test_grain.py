"""Rows are joined by key and date, and by nothing less."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.features.grain import by_feature_date, joined
from pipelines.lake.read import latest_version
from pipelines.lake.write import replace_slice
from pipelines.registry.bundle import Bundle
from pipelines.scoring.rival import rows_of_test_split
from pipelines.training_set.store import SPLIT_KEY

pytestmark = pytest.mark.spark

ONE, TWO = dt.date(2024, 1, 1), dt.date(2024, 1, 2)
NAN = float("nan")


def test_rows_meet_those_of_their_own_day_also_where_a_key_is_null_or_nan(spark) -> None:
    schema = "customer DOUBLE, scoring_date DATE, prediction DOUBLE"
    rows = [(c, d, 0.1 * n) for n, c in enumerate([1.0, NAN, None]) for d in (ONE, TWO)]
    predictions = by_feature_date(spark.createDataFrame(rows, schema), "day")
    labels = spark.createDataFrame(
        [(1.0, TWO, 1), (NAN, TWO, 2), (None, TWO, 3), (4.0, TWO, 4), (-0.0, ONE, 5)],
        "customer DOUBLE, day DATE, label INT",
    )
    grain = ("customer", "day")
    both = joined(predictions, labels, grain, "left")
    assert both.columns == ["customer", "scoring_date", "prediction", "day", "label"]
    found = [(row["day"], row["label"]) for row in both.orderBy("prediction", "day").collect()]
    assert found == [(ONE, None), (TWO, 1), (ONE, None), (TWO, 2), (ONE, None), (TWO, 3)]
    rest = joined(labels, predictions.select(*grain), grain, "left_anti").orderBy("label")
    assert [row["label"] for row in rest.collect()] == [4, 5]
    zero = spark.createDataFrame([(0.0, ONE)], "customer DOUBLE, day DATE")
    assert [row["label"] for row in joined(zero, labels, grain, "inner").collect()] == [5]


def test_a_champion_is_judged_on_the_candidate_s_rows_of_their_own_day(
    spark, lake, open_test_run
) -> None:
    rows = [(flight, day, flight + 0.5) for flight in (1, 2, 3) for day in (ONE, TWO)]
    features = spark.createDataFrame(rows, "flight INT, flight_date DATE, distance DOUBLE")
    replace_slice(features, lake, "gold.flights", "true", ["flight_date"])
    training = features.selectExpr(
        f"IF(flight_date = DATE'{TWO}', 'test', 'train') AS split", "flight", "flight_date",
        "CAST(flight AS FLOAT) AS _label",
    )  # fmt: skip
    labelled = training.withMetadata("_label", {SPLIT_KEY: "split"})
    replace_slice(labelled, lake, "gold.flights_training", "true", ["split"])
    tables = {
        name: latest_version(spark, lake, name)
        for name in ("gold.flights", "gold.flights_training")
    }
    manifest = {"run_id": "r", "tables": tables, "training_set": "gold.flights_training"}
    run = open_test_run(overrides=["featurize.key=flight"])
    found = rows_of_test_split(run, Bundle(manifest, "", b"")).orderBy("flight").collect()
    assert [(row["flight"], row["flight_date"], row["_label"]) for row in found] == [
        (1, TWO, 1.0),
        (2, TWO, 2.0),
        (3, TWO, 3.0),
    ]
