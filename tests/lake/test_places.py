"""What a lake keeps of places in itself holds for a copy of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.catalog import Lake
from pipelines.lake.places import absolute, in_lake, relative

HERE, COPY = Lake("/data/lake"), Lake("s3a://bucket/copy")
PLACES = st.sampled_from(["/data/lake/x", "/data/lakes/x", "s3a://bucket/copy/y", "gold.flights"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text() | PLACES,
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


@given(VALUES)
def test_kept_places_come_back_as_they_were_in_the_same_lake(value):
    kept = json.loads(json.dumps(relative(HERE, value)))
    assert absolute(HERE, kept) == value


def test_places_of_a_copy_are_its_own():
    found = {"bundle": "/data/lake/_training/p/r/bundle", "all": ["/data/lake/_reports/p", "/x"]}
    kept = relative(HERE, found)
    assert "/data/lake" not in json.dumps(kept)
    assert absolute(COPY, kept) == {
        "bundle": "s3a://bucket/copy/_training/p/r/bundle",
        "all": ["s3a://bucket/copy/_reports/p", "/x"],
    }


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/old/lake/_training/p/r/bundle", "s3a://bucket/copy/_training/p/r/bundle"),
        ("s3a://old/lake/_training/p/r/bundle", "s3a://bucket/copy/_training/p/r/bundle"),
        ("file:/o/_reports/p/2013-01-31.html", "s3a://bucket/copy/_reports/p/2013-01-31.html"),
        (
            "file:///o/_mlflow/artifacts/f/1/bundle",
            "s3a://bucket/copy/_mlflow/artifacts/f/1/bundle",
        ),
        ("mlflow-artifacts:/1/2/bundle", "mlflow-artifacts:/1/2/bundle"),
        ("/landing/_training/notes.csv", "/landing/_training/notes.csv"),
        ("gold.flights", "gold.flights"),
    ],
)
def test_absolute_places_in_notes_of_older_lakes_are_the_copys_too(place, found):
    assert in_lake(COPY, place) == found
