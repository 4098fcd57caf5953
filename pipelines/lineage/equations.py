"""What must add up in every run of a stage: nothing that came in is lost on its way. Pure.

Each stage states its equations over the counts of its result. `ingest` and `clean` hold theirs
before they move their progress on; the runner holds all of them once more before a run is recorded.
`train` and `promote` hold theirs where the rows pass by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.errors import LakeError
from pipelines.run import StageResult


@dataclass(frozen=True)
class Equation:
    """`total` is the sum of `parts`, which are all counts of a result."""

    total: str
    parts: tuple[str, ...]

    def holds(self, counts: Mapping[str, int]) -> bool:
        """Tell whether it adds up, with no negative part."""
        parts = [counts[part] for part in self.parts]
        return min(parts) >= 0 and counts[self.total] == sum(parts)

    def said(self, counts: Mapping[str, int]) -> str:
        """Return the equation with its numbers."""
        parts = " + ".join(f"{part} {counts[part]:,}" for part in self.parts)
        return f"{self.total} {counts[self.total]:,} = {parts}"


EQUATIONS: dict[str, tuple[Equation, ...]] = {
    # Records of the landing files: rows of bronze, or put aside.
    "ingest": (Equation("rows_in", ("rows_out", "malformed")),),
    "clean": (
        Equation(
            "rows_in",
            (
                *("inserted", "updated", "unchanged", "deleted"),
                *("superseded", "dropped", "quarantined"),
            ),
        ),
    ),
    # Rows computed: those that the table then holds for the days.
    "featurize": (Equation("rows_computed", ("rows_out",)),),
    # Feature rows: in a split, without a label, or in no split; those of the splits are written.
    "normalize": (
        Equation("rows_in", ("train", "validation", "test", "rows_unlabelled", "outside")),
        Equation("rows_out", ("train", "validation", "test")),
    ),
    # Where rows pass by: an epoch trains on each row once, a champion is judged by all test rows.
    "train": (),
    "promote": (),
    # Feature rows of the days: predicted now, or before.
    "score": (Equation("rows_in", ("inserted", "unchanged")),),
    # Predictions of the days: of versions in use or replaced; with a label by now, or not yet.
    "monitor": (
        Equation("rows_in", ("predictions", "replaced")),
        Equation("predictions", ("labelled", "unlabelled")),
        # Feature rows of training and of the days, once a feature: each in one bin.
        Equation("drift_rows", ("drift_binned",)),
    ),
}


def check_equations(result: StageResult) -> None:
    """Raise LakeError where a stage's numbers don't add up."""
    for equation in EQUATIONS[result.stage]:
        names = {equation.total, *equation.parts}
        if names <= set(result.counts) and not equation.holds(result.counts):
            raise LakeError(
                f"{result.stage} of {result.pipeline} lost count of its rows: "
                f"{equation.said(result.counts)} does not hold. Expected every row to be accounted "
                "for. The run was not recorded; run it again, and report it if it happens again."
            )
