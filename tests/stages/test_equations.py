"""Numbers of a run that must add up, on literal results."""

from __future__ import annotations

import pytest

from pipelines.errors import LakeError
from pipelines.run import StageResult
from pipelines.runner import check_equations
from pipelines.stages.catalog import STAGES

GOOD = {
    "ingest": {"rows_in": 3, "rows_out": 2, "malformed": 1},
    "clean": {
        "rows_in": 7,
        "inserted": 1,
        "updated": 1,
        "unchanged": 1,
        "deleted": 1,
        "superseded": 1,
        "dropped": 1,
        "quarantined": 1,
        "removed": 5,
    },
    "featurize": {"rows_computed": 2, "rows_out": 2, "days": 1},
    "normalize": {
        "rows_in": 9,
        "rows_unlabelled": 1,
        "train": 4,
        "validation": 1,
        "test": 2,
        "outside": 1,
        "rows_out": 7,
    },
    "score": {"rows_in": 5, "inserted": 3, "unchanged": 2},
    "monitor": {
        "rows_in": 5,
        "predictions": 4,
        "replaced": 1,
        "labelled": 3,
        "unlabelled": 1,
        "drift_rows": 30,
        "drift_binned": 30,
    },
}


def test_the_equations_of_every_stage_are_tried_here() -> None:
    assert set(GOOD) == {stage.name for stage in STAGES if stage.equations}


@pytest.mark.parametrize("stage", GOOD)
def test_numbers_that_add_up_pass_and_a_lost_or_doubled_row_does_not(stage: str) -> None:
    check_equations(STAGES[stage], StageResult(stage, "p", "r", counts=GOOD[stage]))
    for equation in STAGES[stage].equations:
        for change in (-1, 1):
            counts = {**GOOD[stage], equation.total: GOOD[stage][equation.total] + change}
            with pytest.raises(LakeError, match=rf"{stage} of p lost count .* does not hold"):
                check_equations(STAGES[stage], StageResult(stage, "p", "r", counts=counts))


def test_the_numbers_are_said() -> None:
    counts = {"rows_in": 5, "inserted": 7, "unchanged": -2}
    with pytest.raises(LakeError, match=r"rows_in 5 = inserted 7 \+ unchanged -2 does not hold"):
        check_equations(STAGES["score"], StageResult("score", "p", "r", counts=counts))
