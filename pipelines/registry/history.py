"""Who was champion when, by whose word and why: MLflow's alias knows only who it is now.

Each move of the alias leaves a tag at the registered model, named by its moment, and a refusal one
at the version. Lakes of older releases have none: then the past is not known, and said so.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.registry.store import open_client, telling
from pipelines.registry.tracking import REFUSED_TAG
from pipelines.secrecy import hide

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

Kind = Literal["gate", "hand", "rollback"]
_MOVE = "tidemill.champion."
_LONGEST = 3000
"""Characters of a text in a tag; MLflow takes 5,000 for all of a value."""


@dataclass(frozen=True)
class Move:
    """The alias `champion` went to `version`; `at` is UTC, as ISO 8601 has it."""

    version: int
    at: str
    kind: Kind
    by: str
    """A run's id, or whoever did it by hand."""
    reason: str = ""


def moves(lake: Lake, model: str) -> list[Move]:
    """Return every recorded move of a model's alias, oldest first."""
    with telling(lake):
        tags = open_client(lake).get_registered_model(model).tags
    found = [json.loads(text) for key, text in tags.items() if key.startswith(_MOVE)]
    return sorted((Move(**one) for one in found), key=lambda move: move.at)


def note_move(lake: Lake, model: str, version: int, kind: Kind, by: str, reason: str = "") -> Move:
    """Record that the alias has gone to a version now."""
    at = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    move = Move(version, at, kind, hide(by), _short(hide(reason)))
    with telling(lake):
        key = f"{_MOVE}{at.replace(':', '-').replace('+', ' ')}"  # MLflow takes neither sign
        open_client(lake).set_registered_model_tag(
            model, key, json.dumps(asdict(move), ensure_ascii=False)
        )
    return move


def note_refusal(lake: Lake, model: str, version: int, reason: str) -> None:
    """Record why a version was not promoted; a later refusal takes the place of an earlier one."""
    with telling(lake):
        client = open_client(lake)
        client.set_model_version_tag(model, str(version), REFUSED_TAG, _short(hide(reason)))


def before(found: Sequence[Move], champion: int) -> int | None:
    """Return the version that a rollback from the champion leads to; None where none is known.

    A rollback takes the last promotion back, a second one the promotion before it.
    """
    line: list[int] = []
    for move in found:
        if move.kind == "rollback":
            line = line[: line.index(move.version) + 1] if move.version in line else [move.version]
        elif not line or line[-1] != move.version:
            line.append(move.version)
    if champion in line:  # else somebody else moved the alias: it goes back to who was there before
        line = line[: len(line) - 1 - line[::-1].index(champion)]
    others = [version for version in line if version != champion]
    return others[-1] if others else None


def rolled_back(found: Sequence[Move], version: int) -> Move | None:
    """Return the rollback that took a version away, unless it was promoted again since."""
    last: Move | None = None
    was = None
    for move in found:
        if move.kind == "rollback" and was == version:
            last = move
        elif move.version == version:
            last = None
        was = move.version
    return last


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
