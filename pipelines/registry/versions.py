"""All versions of a model beside each other: where from, how good, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import ALL_METRICS
from pipelines.errors import NoChampion, TidemillError
from pipelines.lake.folder import Folder
from pipelines.registry import history, tracking
from pipelines.registry.bundle import MANIFEST
from pipelines.registry.champion import find_champion

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake


@dataclass(frozen=True)
class Version:
    """A version; `state` says in words what became of it."""

    version: int
    is_champion: bool
    state: str
    run_id: str
    trained_at: str
    metrics: dict[str, float]
    """On the test split."""
    tables: dict[str, int] = field(default_factory=dict)
    """Versions of the tables it came from."""
    bundle: str = ""


def versions(lake: Lake, model: str) -> list[Version]:
    """Return every version of a model, oldest first; raise NoChampion where there is none."""
    found = tracking.all_versions(lake, model)
    if not found:
        raise NoChampion(
            f"there is no version of model '{model}' in {lake.root}. Run `tidemill train` first."
        )
    moves, now = history.moves(lake, model), find_champion(lake, model)
    champion = None if now is None else now.version
    return [_version(one, moves, champion) for one in found]


def _version(
    one: tracking.ModelVersion, moves: Sequence[history.Move], champion: int | None
) -> Version:
    facts, lost = _facts(one.bundle)
    return Version(
        version=one.version,
        is_champion=one.version == champion,
        state=lost or _state(one, moves, champion),
        run_id=one.run_id,
        trained_at=str(facts.get("created_at", "")),
        metrics=dict(facts.get("metrics", {})),
        tables=dict(facts.get("tables", {})),
        bundle=one.bundle,
    )


def _facts(bundle: str) -> tuple[dict[str, Any], str]:
    try:
        text = Folder(bundle).read(MANIFEST)
    except TidemillError as error:
        return {}, f"its bundle can't be read: {error}"
    return (json.loads(text), "") if text is not None else ({}, "its bundle is gone")


def _state(one: tracking.ModelVersion, moves: Sequence[history.Move], champion: int | None) -> str:
    mine = [move for move in moves if move.version == one.version]
    if one.version == champion:
        if not moves or moves[-1].version != champion:
            return "champion (since when is not recorded)"
        return f"champion since {_when(mine[-1])}"
    taken = history.rolled_back(moves, one.version)
    if taken is not None:
        return f"taken back {_when(taken)}"
    if one.refused:
        return f"refused: {one.refused}"
    return f"champion from {mine[-1].at[:16]}, replaced since" if mine else "not promoted"


def _when(move: history.Move) -> str:
    why = f" ({move.reason})" if move.reason else ""
    return f"{move.at[:16]} by {move.by or 'a run'}{why}"


def lines(model: str, found: Sequence[Version]) -> Iterator[str]:
    """Yield a heading and a line for each version; the champion has a star."""
    names = [name for name in ALL_METRICS if any(name in one.metrics for one in found)]
    shown = names[:3]
    width = max(len(one.run_id) for one in found)
    heading = "  ".join(f"{name:>9s}" for name in shown)
    yield f"{model}: versions, with metrics of each one's own test split"
    yield f"  {'version':>7s}  {'trained (UTC)':16s}  {heading}  {'run':{width}s}  state"
    for one in found:
        values = "  ".join(
            f"{one.metrics[name]:9.4f}" if name in one.metrics else f"{'':9s}" for name in shown
        )
        star = "*" if one.is_champion else " "
        trained = one.trained_at[:16].replace("T", " ")
        facts = f"{one.version:7d}  {trained:16s}  {values}  {one.run_id:{width}s}"
        yield f"{star} {facts}  {one.state}"
        made = ", ".join(f"{table}@{version}" for table, version in one.tables.items())
        if made:
            yield f"  {'':7s}  from {made}"
