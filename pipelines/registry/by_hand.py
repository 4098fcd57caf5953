"""A version made champion, or taken back, by somebody's word: no gate is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import NoChampion, UsageError
from pipelines.registry import history
from pipelines.registry.bundle import load_bundle
from pipelines.registry.calibration import doubts
from pipelines.registry.champion import find_champion, make_champion, version_of

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake


@dataclass(frozen=True)
class Moved:
    """What a move of the alias did; `before` is None where there was no champion."""

    model: str
    version: int
    before: int | None
    by: str
    reason: str
    doubts: list[str]

    def lines(self) -> list[str]:
        """Say it to people."""
        if self.version == self.before:
            return [f"{self.model} version {self.version} is champion already: nothing was changed"]
        was = "there was none" if self.before is None else f"version {self.before} was"
        return [
            f"{self.model} version {self.version} is champion now ({was} before), by {self.by}: "
            f"{self.reason}",
            *(f"DOUBT: {one}" for one in self.doubts),
            "A running service takes it up by itself, `score` with its next run.",
        ]


def promote(lake: Lake, model: str, version: int, by: str, reason: str) -> Moved:
    """Make a version champion, whatever the gate would say.

    Raises UsageError without a reason or such a version, BundleError where its bundle is not whole.
    """
    if not reason.strip():
        raise UsageError("a promotion by hand needs a reason: --reason 'why this version'.")
    return _move(lake, model, version, "hand", by, reason)


def rollback(lake: Lake, model: str, by: str, reason: str) -> Moved:
    """Make the version champion that was it before; raise NoChampion where none is known."""
    now = find_champion(lake, model)
    if now is None:
        raise NoChampion(
            f"no version of model '{model}' is champion: there is nothing to take back."
        )
    last = history.before(history.moves(lake, model), now.version)
    if last is None:
        raise NoChampion(
            f"it is not recorded who was champion of '{model}' before version {now.version}. Name "
            "the version: `tidemill promote PIPELINE --version N --reason TEXT`."
        )
    reason = f"version {now.version} taken back" + (f": {reason}" if reason.strip() else "")
    return _move(lake, model, last, "rollback", by, reason)


def _move(lake: Lake, model: str, version: int, kind: history.Kind, by: str, reason: str) -> Moved:
    chosen, now = version_of(lake, model, version), find_champion(lake, model)
    bundle = load_bundle(chosen.bundle)
    facts = bundle.manifest
    found = doubts(facts.get("metrics", {}), facts.get("constant_metrics", {}), bundle.evaluation)
    moved = Moved(model, version, None if now is None else now.version, by, reason, found)
    if moved.before != version:
        make_champion(lake, chosen, kind, by, reason)
    return moved
