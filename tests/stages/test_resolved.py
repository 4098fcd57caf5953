"""What runs of earlier releases have stored of their start is read, and stored the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.cleaning.batch import Bronze
from pipelines.cleaning.begin import FoundBronze
from pipelines.errors import LakeError
from pipelines.features.due import Found
from pipelines.run import Resolved, Versions
from pipelines.stages import monitor, promote, score

MODEL = {"name": "m", "version": 2, "run_id": "r", "bundle": "lake:/_training/p/r/bundle"}
STORED: list[tuple[type[Resolved], dict[str, Any]]] = [
    (FoundBronze, {"bronze": {"flights": {"version": 3, "id": "x"}, "planes": None}}),
    (
        Found,
        {
            "tables": {"silver.a": 1},
            "ids": {"silver.a": "x"},
            "made_from": {"versions": {"silver.a": 0}, "ids": {"silver.a": "x"}, "query": "q"},
            "unknown": None,
            "after": 4,
        },
    ),
    (Versions, {"gold.flights_training": 7, "gold.flights": 3}),
    (promote._Resolved, {"candidate": MODEL, "champion": None}),
    (score._Resolved, {"features": 3, "model_version": 2, "bundle": "lake:/b"}),
    (monitor._Resolved, {"tables": {"gold.f": 1}, "bundle": "lake:/b", "model_version": 2}),
]


@pytest.mark.parametrize(("kind", "stored"), STORED, ids=[str(kind) for kind, _ in STORED])
def test_a_stored_record_is_read_and_stored_as_it_was(kind, stored):
    assert json.loads(json.dumps(kind.of(stored).plain())) == stored


def test_bronze_is_typed_again():
    assert FoundBronze.of(STORED[0][1]).bronze == {"flights": Bronze(3, "x"), "planes": None}


def test_a_note_of_a_release_before_a_field_has_none_and_a_newer_ones_field_is_left_out():
    old = {name: value for name, value in STORED[1][1].items() if name != "after"}
    assert Found.of(old).after is None
    assert score._Resolved.of({**STORED[4][1], "more": 1}) == score._Resolved.of(STORED[4][1])


@pytest.mark.parametrize("kind", [Found, promote._Resolved, score._Resolved, monitor._Resolved])
def test_a_note_that_lacks_what_is_needed_is_said_with_the_way_on(kind):
    with pytest.raises(LakeError, match=r"it holds other, and no .*Run the stage once more"):
        kind.of({"other": 1})
