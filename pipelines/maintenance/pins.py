"""Which files of the lake a kept bundle needs to be trained again, and to tell drift from.

A bundle is kept as long as its folder is there: take the folder away, and its files may go. What a
training reads that has no bundle yet is kept, too: see `registry.reading`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import BundleError, FeedError, TableNotFound, VersionNotFound
from pipelines.lake.catalog import Lake
from pipelines.lake.folder import Folder
from pipelines.lake.snapshot import Snapshot, take_snapshot
from pipelines.registry.bundle import MANIFEST
from pipelines.registry.reading import reading

ERASED = "erased.json"
"""A bundle with this file was trained with rows that were erased since; its files are let go."""


@dataclass(frozen=True)
class Pin:
    """What one bundle, or a training on its way to one, needs.

    That is `files` of `table` at `version`, by their names relative to it.
    """

    pipeline: str
    run_id: str
    table: str
    version: int
    files: frozenset[str]
    bundle: str
    """The bundle's folder."""
    is_trained_on: bool = True
    """Whether training again takes the files; else `monitor` compares today's rows with them."""


def pinned(lake: Lake) -> list[Pin]:
    """Return what the lake's bundles and running trainings need, of all pipelines.

    Bundles marked as erased need nothing. Raises BundleError for a bundle whose snapshots can't be
    read: what it needs is not known.
    """
    pins = []
    trainings = Folder(f"{lake.root}/_training")
    for pipeline in trainings.names():
        for run_id in trainings.below(pipeline).names():
            folder = f"{lake.training(pipeline, run_id)}/bundle"
            pin = _pin(pipeline, run_id, folder)
            pins += _running(lake, pipeline, run_id) if pin is None else [pin]
    return pins


def _running(lake: Lake, pipeline: str, run_id: str) -> list[Pin]:
    """Return what a training without a bundle reads, as long as it may still be running."""
    place = lake.training(pipeline, run_id)
    if Folder(f"{place}/bundle").read(MANIFEST) is not None:
        return []  # marked as erased
    found = reading(place)
    return (
        []
        if found is None
        else [
            Pin(
                *(pipeline, run_id, table, version, _files_at(lake.path(table), version)),
                bundle=f"{place}/bundle",
                is_trained_on=table in found.training_sets,
            )
            for table, version in found.tables.items()
        ]
    )


def compared(lake: Lake) -> list[Pin]:
    """Return the files of the features that kept bundles name: `monitor` measures drift from them.

    A version that can't be read any more, as its log or a file is gone, keeps nothing.
    """
    found, seen = [], dict[tuple[str, int], frozenset[str]]()
    for pin in pinned(lake):
        facts = json.loads(Folder(pin.bundle).read(MANIFEST) or b"{}")
        for table, version in facts.get("tables", {}).items():
            if table in (pin.table, f"{pin.table}_folds"):
                continue
            if (table, version) not in seen:
                seen[table, version] = _files_at(lake.path(table), version)
            files = seen[table, version]
            found.append(
                replace(pin, table=table, version=version, files=files, is_trained_on=False)
            )
    return found


def mark_erased(bundle: str, facts: Mapping[str, Any]) -> None:
    """Note in a bundle's folder that rows it was trained with were erased; `facts` say when.

    From then on its files are not kept, and it can't be trained again. Scoring with it goes on.
    """
    content = json.dumps(dict(facts), sort_keys=True, default=str)
    Folder(bundle).write(ERASED, content.encode("utf-8"))


def erased(bundle: str) -> dict[str, Any] | None:
    """Return what `mark_erased` noted in a bundle's folder, or None."""
    content = Folder(bundle).read(ERASED)
    return None if content is None else dict(json.loads(content))


def snapshots_of(stored: Mapping[str, Any], place: str) -> dict[str, Snapshot]:
    """Return a bundle's snapshots by split, of the table that now lies at `place`.

    A lake may have been moved since the training; its tables' files keep their names.
    """
    return {
        split: Snapshot.from_json(json.dumps({**plain, "table": place}))
        for split, plain in stored.items()
    }


def files_of(snapshot: Snapshot) -> frozenset[str]:
    """Return the files that reading a snapshot takes, those of its deletion vectors too."""
    found = {file.path for file in snapshot.files}
    vectors = (file.deletion_vector for file in snapshot.files)
    found |= {vector.file for vector in vectors if vector and vector.storage != "i"}
    return frozenset(found)


def _files_at(place: str, version: int) -> frozenset[str]:
    try:
        return files_of(take_snapshot(place, version))
    except (TableNotFound, VersionNotFound, FeedError):
        return frozenset()


def _pin(pipeline: str, run_id: str, folder: str) -> Pin | None:
    place = Folder(folder)
    manifest = place.read(MANIFEST)
    if manifest is None or place.read(ERASED) is not None:
        return None
    try:
        facts = json.loads(manifest)
        snapshots = json.loads(place.read("snapshots.json") or b"")
        table = str(facts["training_set"])
        files = [files_of(one) for one in snapshots_of(snapshots, "").values()]
        version = int(facts["tables"][table])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"what the bundle {folder} needs can't be told: {error!r}. Nothing is removed while "
            "that is so. Mend the bundle, or remove its folder if it need not be trained again."
        ) from error
    return Pin(pipeline, run_id, table, version, frozenset().union(*files), folder)
