"""One definition of a feature: Spark and TensorFlow give the same model inputs."""

import math
import random

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipelines.encoding.fit import fit
from pipelines.encoding.kinds import Feature
from pipelines.encoding.to_keras import raw_dtypes, to_keras
from pipelines.encoding.to_sql import to_sql

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.compiled]

SCHEMA = (
    "id int, d double, f float, n int, b boolean, m decimal(12,3), s string, day date, "
    "ds array<double>, ns array<int>, ss array<string>, days array<date>"
)
FEATURES = {
    "standard": {"kind": "numeric", "column": "d", "missing_flag": True},
    "minmax": {"kind": "numeric", "column": "f", "scale": "minmax", "impute": "zero"},
    "robust": {"kind": "numeric", "column": "d", "scale": "robust", "impute": "median"},
    "log": {"kind": "numeric", "column": "m", "log1p": True, "impute": 2.5},
    "plain": {"kind": "numeric", "column": "n", "scale": "none"},
    "truth": {"kind": "numeric", "column": "b"},
    "clock": {"kind": "cyclical", "column": "d", "period": 24},
    "number": {"kind": "category", "column": "n", "min_count": 3},
    "flag": {"kind": "category", "column": "b"},
    "text": {"kind": "category", "column": "s", "max_size": 5},
    "date": {"kind": "category", "column": "day", "min_count": 2},
    "hashed": {"kind": "hashed", "column": "s", "buckets": 31},
    "hashed_number": {"kind": "hashed", "column": "n", "buckets": 7},
    "curve": {"kind": "array", "column": "ds", "length": 4, "mask": True},
    "tail": {"kind": "array", "column": "ds", "length": 3, "keep": "last", "impute": 2.5},
    "whole": {"kind": "array", "column": "ns", "length": 9, "scale": "minmax", "impute": "zero"},
    "plain_list": {"kind": "array", "column": "ns", "length": 1, "scale": "none", "mask": True},
    "words": {"kind": "sequence", "column": "ss", "length": 3, "max_size": 4},
    "last_words": {"kind": "sequence", "column": "ss", "length": 2, "keep": "last", "buckets": 9},
    "steps": {"kind": "sequence", "column": "ns", "length": 7, "min_count": 9, "keep": "last"},
    "dates": {"kind": "sequence", "column": "days", "length": 2},
}
ALPHABET = "aB0 é€😀'\"\\$\n"


def random_row(dice: random.Random, place: int) -> tuple:
    import datetime as dt
    from decimal import Decimal

    def perhaps(value):
        return None if dice.random() < 0.15 else value

    def text() -> str:
        return "".join(dice.choices(ALPHABET, k=dice.choice((0, 1, 1, 1, 2, 40))))

    def day() -> dt.date:
        return dt.date(2013, 1, 1) + dt.timedelta(days=dice.randint(0, 20))

    def several(value):
        return perhaps([perhaps(value()) for _ in range(dice.choice((0, 1, 2, 3, 4, 5, 12)))])

    return (
        place,
        perhaps(dice.choice((dice.gauss(0, 1e-3), dice.gauss(1e6, 1), dice.uniform(-30, 30)))),
        perhaps(dice.gauss(0, 50)),
        perhaps(dice.choice((*range(-20, 21), -(2**31), 2**31 - 1))),
        perhaps(dice.random() < 0.3),
        perhaps(Decimal(dice.randint(-(10**5), 10**9)) / 1000),
        perhaps(text()),
        perhaps(day()),
        several(lambda: dice.choice((dice.gauss(0, 1e-3), dice.gauss(1e6, 1), math.nan))),
        several(lambda: dice.randint(-9, 9)),
        several(text),
        several(day),
    )  # fmt: skip


def raw_tensors(rows: list, dtypes: dict[str, str], columns: list[str]) -> dict:
    import tensorflow as tf

    tensors = {}
    for name, dtype in dtypes.items():
        values = [row[columns.index(name)] for row in rows]
        if any(isinstance(value, list) for value in values):
            # What stands behind a row's length is of no account: a value, to show it.
            longest, lists = max(len(value or ()) for value in values), [v or [] for v in values]
            tensors[f"{name}_length"] = tf.constant([len(one) for one in lists], tf.int32)
            missing, padding = ("", "padded") if dtype == "string" else (math.nan, 77.0)
            kind = str if dtype == "string" else float
            tensors[name] = tf.constant(
                [
                    [missing if value is None else kind(value) for value in one]
                    + [padding] * (longest - len(one))
                    for one in lists
                ],
                tf.string if dtype == "string" else tf.float64,
            )
        elif dtype == "string":
            tensors[name] = tf.constant(["" if value is None else str(value) for value in values])
        else:
            numbers = [math.nan if value is None else float(value) for value in values]
            tensors[name] = tf.constant(numbers, tf.float64)
    return tensors


def test_every_kind_is_tried() -> None:
    known = set(TypeAdapter(Feature).json_schema()["discriminator"]["mapping"])
    assert known - {one["kind"] for one in FEATURES.values()} == {"image"}  # test_images.py


def test_spark_and_keras_agree_on_random_rows(spark) -> None:
    dice = random.Random(7)
    train = [random_row(dice, place) for place in range(300)]
    # Rows that training did not see, among them values it never had.
    extremes = [(-1, math.nan, math.inf, None, None, None, "never seen", None,
                 [math.inf, None, 1.0, math.nan], [], ["never seen", None], [None]),
                (-2, -math.inf, math.nan, 99, True, None, "", None, None, None, None, None),
                (-3, 1e300, 3e38, 0, False, None, "x" * 3000, None,
                 [-math.inf], [2**31 - 1] * 20, ["x" * 3000] * 5, [])]  # fmt: skip
    rows = [*(random_row(dice, place) for place in range(700)), *extremes]
    adapter = TypeAdapter(Feature)
    features = {name: adapter.validate_python(one) for name, one in FEATURES.items()}
    spec = fit(spark.createDataFrame(train, SCHEMA), features, key=("id",), date="day", label=None)

    df = spark.createDataFrame(rows, SCHEMA)
    by_spark = df.coalesce(1).selectExpr(*to_sql(spec)).collect()
    by_keras = to_keras(spec)(raw_tensors(rows, raw_dtypes(spec), df.columns))

    for each in spec.inputs:
        values = [row[each.name] for row in by_spark]
        assert None not in (v for value in values for v in np.atleast_1d(value))
        ours = np.array(values, each.dtype)
        assert ours.shape == (len(rows), *each.shape)
        theirs = by_keras[each.name].numpy()
        assert theirs.dtype == ours.dtype
        if each.cardinality:
            np.testing.assert_array_equal(theirs, ours, err_msg=each.name)
            assert ours.min() == 0
            assert ours.max() < each.cardinality
        else:
            np.testing.assert_allclose(theirs, ours, rtol=2e-7, atol=2e-7, err_msg=each.name)
