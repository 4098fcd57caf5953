"""Which stored feature specs hold a subject's values: as entries of a category's vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.lake.folder import Folder

if TYPE_CHECKING:
    from pipelines.erasure.subject import Subject
    from pipelines.lake.catalog import Lake


def vocabularies_holding(lake: Lake, subject: Subject) -> list[str]:
    """Return the places of specs with a value of the key, and the features it is in.

    Specs of `normalize` and of bundles are looked at, of all pipelines. Features of any column
    count: a query may have given the key's another name.
    """
    texts = {text.strip() for texts in subject.texts.values() for text in texts}
    found = []
    for folder, name in _specs(Folder(lake.root)):
        content = folder.read(name)
        features = [] if content is None else json.loads(content).get("features", [])
        holding = [
            one["name"] for one in features if not texts.isdisjoint(one.get("vocabulary", ()))
        ]
        if holding:
            place = f"{folder.uri}/{name}".removeprefix(f"{lake.root}/")
            found.append(f"{place} ({', '.join(holding)})")
    return found


def _specs(root: Folder) -> Iterator[tuple[Folder, str]]:
    for pipeline in root.below("_state").names():
        folder = root.below(f"_state/{pipeline}/normalize")
        yield from ((folder, name) for name in folder.names() if name.endswith(".json"))
    for pipeline in root.below("_training").names():
        for run_id in root.below(f"_training/{pipeline}").names():
            yield root.below(f"_training/{pipeline}/{run_id}/bundle"), "feature_spec.json"
