"""Bins of features: every value lies in one of them, whatever it is; people can tell them apart."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import LakeError
from pipelines.monitoring.bins import Binning, check_counts, count_bins, count_places, fit_binnings

NUMBERS = st.one_of(st.floats(), st.none(), st.sampled_from([0.0, -0.0, 5.0, math.inf, math.nan]))
TEXTS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["missing", "other", "", "a"]))


def place_of_number(value, binning):
    """The place of one number, written as it is described."""
    if value is None or math.isnan(value):
        return 0
    if not binning.edges or value < binning.smallest:
        return 1
    for place, edge in enumerate(binning.edges, start=2):
        if value <= edge:
            return place
    return 2 + len(binning.edges)


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6), st.lists(NUMBERS))
def test_each_number_lies_in_the_one_bin_that_its_description_names(training, values):
    binning = (
        Binning("x", min(training), tuple(sorted(set(training)))) if training else Binning("x")
    )
    found = count_places(binning, pa.array(values, pa.float64()))
    places = [place_of_number(value, binning) for value in values]
    assert found.tolist() == np.bincount(places, minlength=binning.num_places).tolist()
    assert found.sum() == len(values)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=5), st.lists(TEXTS))
def test_each_text_lies_in_one_bin_and_no_value_is_taken_for_missing_or_other(known, values):
    binning = Binning("c", values=tuple(known))
    found = count_places(binning, pa.array(values, pa.string()))
    places = [0 if not v else 2 + known.index(v) if v in known else 1 for v in values]
    assert found.tolist() == np.bincount(places, minlength=binning.num_places).tolist()


@settings(deadline=None)
@given(
    st.one_of(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, unique=True).map(
            lambda edges: Binning("x", min(edges), tuple(sorted(edges)))
        ),
        st.lists(TEXTS.filter(bool), unique=True).map(lambda v: Binning("c", values=tuple(v))),
        st.just(Binning("x")),
    )
)
def test_no_two_bins_have_the_same_label(binning):
    assert len(set(binning.labels)) == binning.num_places


def test_labels_say_the_borders_in_full_and_quote_values():
    assert Binning("x", 5.0, (5.0,)).labels == (
        *("missing", "below 5.0", "5.0"),
        "above 5.0, the largest in training",
    )
    near = Binning("x", 5_820_001.0, (5_820_002.0, 5_820_003.0)).labels
    assert near[2:4] == ("5820001.0 to 5820002.0", "above 5820002.0 to 5820003.0")
    assert Binning("c", values=("missing", "a\u2028")).labels == (
        *("missing", "other values", "'missing'", "'a\\u2028'"),
    )


def test_a_row_that_is_in_no_bin_or_in_two_stops_the_run():
    check_counts({"x": (1, 2)}, 3, "gold.flights@1")
    with pytest.raises(
        LakeError, match=r"'x' hold 3 rows, gold\.flights@1 holds 4; expected every row in exactly"
    ):
        check_counts({"x": (1, 2)}, 4, "gold.flights@1")


@pytest.mark.spark
def test_bins_are_fitted_and_counted_for_every_kind_of_column(spark):
    rows = [
        (float(n), 5.0, n > 50, "missing" if n % 3 else "other", 5_820_000 + n, None)
        for n in range(1, 101)
    ]
    schema = "distance DOUBLE, same DOUBLE, flag BOOLEAN, word STRING, big BIGINT, nothing DOUBLE"
    frame = spark.createDataFrame(rows, schema)
    numeric = ["distance", "same", "flag", "big", "nothing"]
    binnings = fit_binnings(frame, numeric, ["word"], bins=4)
    assert {one.column: one.edges or one.values for one in binnings} == {
        "distance": (25.0, 50.0, 75.0, 100.0),
        "same": (5.0,),
        "flag": (0.0, 1.0),
        "big": (5_820_025.0, 5_820_050.0, 5_820_075.0, 5_820_100.0),
        "nothing": None,
        "word": ("missing", "other"),
    }
    assert count_bins(frame, binnings) == {
        "distance": (0, 0, 25, 25, 25, 25, 0),
        "same": (0, 0, 100, 0),
        "flag": (0, 0, 50, 50, 0),
        "big": (0, 0, 25, 25, 25, 25, 0),
        "nothing": (100, 0),
        "word": (0, 0, 67, 33),
    }
    odd = [
        (0.0, 3.0, None, None, 1, 1.0),
        (math.nan, math.inf, True, "", None, None),
        (-math.inf, 7.0, False, "Missing", 9_000_000, None),
    ]
    assert count_bins(spark.createDataFrame(odd, schema), binnings) == {
        "distance": (1, 2, 0, 0, 0, 0, 0),
        "same": (0, 1, 0, 2),
        "flag": (1, 0, 1, 1, 0),
        "big": (1, 1, 0, 0, 0, 0, 1),
        "nothing": (2, 1),
        "word": (2, 1, 0, 0),
    }
    empty = fit_binnings(frame.limit(0), ["distance"], ["word"], bins=4)
    assert count_bins(frame, empty) == {"distance": (0, 100), "word": (0, 100)}
