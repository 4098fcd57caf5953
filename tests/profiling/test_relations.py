"""A column that knows the label is found; one that is merely good is kept."""

import numpy as np
import pytest

from pipelines.profiling.relations import Sample, leaks, relations

ROWS = 400


@pytest.fixture(scope="module")
def binary():
    random = np.random.default_rng(3)
    label = random.integers(0, 2, ROWS)
    good = label + random.normal(0, 1.0, ROWS)
    values = {
        "good": good.tolist(),
        "noise": random.normal(size=ROWS).tolist(),
        "copy": [float(one) * 3 + 1 for one in label],
        "word": [("ja", "nein")[one] for one in label],
        "closed_on": [1.7e9 if one else None for one in label],
        "city": [("a", "b", "c")[n % 3] for n in range(ROWS)],
    }
    return relations(Sample(values, label.tolist()), "binary")


def test_columns_that_know_the_label_are_found_and_others_are_kept(binary):
    assert set(leaks(binary, "binary")) == {"copy", "word", "closed_on"}
    assert "it is filled when the label is known" in leaks(binary, "binary")["closed_on"]
    by_name = {one.feature: one.score for one in binary}
    assert 0.6 < by_name["good"] < 0.9
    assert 0.4 < by_name["noise"] < 0.6


def test_a_price_in_another_currency_knows_the_price():
    random = np.random.default_rng(4)
    price = random.lognormal(5, 1, ROWS)
    values = {
        "in_dollars": (price * 1.1).tolist(),
        "size": (price + 200 * random.random(ROWS)).tolist(),
    }
    found = relations(Sample(values, price.tolist()), "number")
    assert list(leaks(found, "number")) == ["in_dollars"]


def test_a_code_of_the_class_knows_the_class():
    label = [("a", "b", "c")[n % 3] for n in range(ROWS)]
    code = [{"a": 7.0, "b": 1.0, "c": 4.0}[one] for one in label]
    weak = [float(n % 7) for n in range(ROWS)]
    found = relations(Sample({"code": code, "weak": weak}, label), "classes")
    assert list(leaks(found, "classes")) == ["code"]


def test_few_rows_say_nothing():
    assert relations(Sample({"a": [1.0] * 40}, [0, 1] * 20), "binary") == []
