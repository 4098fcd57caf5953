"""What an entity's rows were made with: changed settings reach no row that is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from pipelines.cleaning.progress import OLDER_RELEASE
from pipelines.config import Pipeline
from pipelines.lake.tables import quarantine, silver

_CASTS = 3
"""Grows with each release whose casts and treatments make other rows of the same bronze."""


def sign(pipeline: Pipeline, name: str) -> str:
    """Return a short hash of all that decides what becomes of an entity's bronze rows."""
    entity = pipeline.clean.entities[name]
    marks = pipeline.privacy.sources.get(entity.source, {})
    parts = {"source", "key", "columns", "derive", "delete_when"}
    content = {
        "casts": _CASTS,
        "entity": entity.model_dump(mode="json", include=parts),
        # Broken rules of another severity keep no row out.
        "rules": [[r.name, r.check] for r in entity.rules if r.severity == "quarantine"],
        "zone": pipeline.zone_of(entity.source),
        "delivery": pipeline.ingest.sources[entity.source].delivery,
        "marks": {column: mark.model_dump(mode="json") for column, mark in marks.items()},
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def together(before: Sequence[str], now: str) -> tuple[str, ...]:
    """Return the signs of rows made before and now, each once."""
    return tuple(dict.fromkeys([*before, now]))


def notes(pipeline: Pipeline, made_with: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which entities hold rows that other settings than today's have made.

    `made_with` has the signs of each entity's rows.
    """
    by_others: list[str] = []
    by_older: list[str] = []
    for name, signs in made_with.items():
        others = [one for one in signs if one != sign(pipeline, name)]
        if others:
            (by_older if others == [OLDER_RELEASE] else by_others).append(name)
    found = {
        "with other settings than today's": by_others,
        "by an older release, whose casts let more through": by_older,
    }
    return [_said(pipeline, names, how) for how, names in found.items() if names]


def _said(pipeline: Pipeline, names: Sequence[str], how: str) -> str:
    tables = f"silver and quarantine of {', '.join(names)}"
    if len(names) == 1:
        tables = f"{silver(names[0])} and {quarantine(names[0])}"
    options = "".join(f" --entity {name}" for name in names)
    return (
        f"{tables} hold rows that were made {how}: they stay as they are. `tidemill clean "
        f"{pipeline.name} --again{options}` makes both anew from bronze"
    )
