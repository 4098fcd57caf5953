"""Reasons in batch, in Python and over HTTP are the same, and add up to what is said."""

import datetime as dt
from dataclasses import replace

import pytest

from pipelines.reasons.words import in_words
from pipelines.scoring.batch import Provenance, predict, prediction_rows
from pipelines.serving.predictor import Predictor

pytestmark = pytest.mark.tensorflow
DAY = dt.date(2013, 12, 1)
ROWS = [(1, 2400.0, "UA"), (2, 1600.0, "B6"), (3, None, None), (4, 800.0, "new")]
BASE = 1 / (1 + 2.718281828459045**-2)  # of the mean distance (0) and the commonest carrier (2)


@pytest.fixture
def table(spark):
    return spark.createDataFrame(
        [(DAY, *row) for row in ROWS], "day DATE, id INT, distance DOUBLE, carrier STRING"
    )


@pytest.mark.spark
def test_a_prediction_s_reasons_in_batch_are_those_online(table, bundle):
    scored = predict(table, bundle, ["id", "day"], 4, 2, explain=1)
    at = dt.datetime(2013, 12, 2)
    rows = prediction_rows(scored, ["id"], "day", 0.5, Provenance("m", 1, 1, "r", at))
    batch = [row.asDict(recursive=True) for row in rows.orderBy("id").collect()]
    predictor = Predictor(bundle)
    asked = [{"distance": distance, "carrier": carrier} for _, distance, carrier in ROWS]
    online, whole = predictor.explain(asked, 1), predictor.explain(asked)
    for row, told, every in zip(batch, online, whole, strict=True):
        (first,) = row["explanation"]
        assert first["column"] == told["contributions"][0]["column"]
        assert first["contribution"] == pytest.approx(
            told["contributions"][0]["contribution"], abs=1e-5
        )
        for name in ("base", "rest", "residual"):
            assert row[f"explanation_{name}"] == pytest.approx(told[name], abs=1e-5)
        assert told["base"] == pytest.approx(BASE, abs=1e-6)
        total = first["contribution"] + row["explanation_rest"] + row["explanation_residual"]
        assert row["prediction"] == pytest.approx(BASE + total, abs=1e-6)
        assert abs(row["explanation_residual"]) <= 1e-3
        added = {one["column"]: one["contribution"] for one in every["contributions"]}
        assert set(added) == {"distance", "carrier"}
    assert "explanation" not in predict(table, bundle, ["id"], 4, 2).columns


def test_a_bundle_s_own_baseline_is_the_one_reasons_start_from(bundle):
    kept = replace(
        bundle, manifest={**bundle.manifest, "baseline": {"distance": 1.0, "carrier": 3}}
    )
    (told,) = Predictor(kept).explain([{"distance": 1500.0, "carrier": "B6"}])
    assert told["base"] == pytest.approx(1 / (1 + 2.718281828459045**-4), abs=1e-6)
    assert [one["contribution"] for one in told["contributions"]] == [0, 0], "the baseline itself"


def test_reasons_are_said_with_the_row_s_own_values():
    said = {"prediction": 0.31, "predicted_label": "late"}
    told = {
        "base": 0.22,
        "contributions": [
            {"column": "rate", "contribution": 0.1},
            {"column": "file[1,2]", "contribution": -0.02},
            {"column": "name", "contribution": 0.01},
        ],
        "rest": 0.0,
        "residual": 0.0,
    }
    row = {"rate": 1 / 3, "file": b"...", "name": None}
    assert list(in_words(row, said, told)) == [
        "0.3100 (late), where a row of the training's means has 0.2200",
        "  +0.1000  rate = 0.333333",
        "  -0.0200  file[1,2]",
        "  +0.0100  name = (missing)",
        "  +0.0000  all other columns",
    ]
    none = {**told, "contributions": None, "residual": 0.09}
    assert list(in_words(row, said, none))[1].startswith("  no reasons: they miss what the model")
