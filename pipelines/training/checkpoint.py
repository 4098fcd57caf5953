"""Checkpoints: everything a training needs to go on as if nothing had happened.

A checkpoint is a folder `checkpoint-<epoch>-<step>` with `arrays.npz` (weights, optimizer, best
weights) and `manifest.json`, written in this order: one without a manifest was never finished.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipelines.errors import TrainingError
from pipelines.lake.folder import Folder

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
_KEPT = 2
_PREFIX = "checkpoint-"
Arrays = dict[str, list[np.ndarray[Any, Any]]]


@dataclass
class Progress:
    """How far a training is. `epoch` and `step` (both from 0) say what comes next."""

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    """Best value of the monitored metric so far, as if lower were better."""
    best_epoch: int = 0
    """Epoch (from 1) it was seen in."""
    stale_epochs: int = 0
    is_stopped: bool = False
    train_mean: list[float] | None = None
    """Mean label of the training split, or each class's share; known after the first epoch."""
    loss_sum: float = 0.0
    weight_sum: float = 0.0
    row_sum: float = 0.0
    label_sum: list[float] = field(default_factory=list)
    """Sums over the running epoch."""
    seconds: float = 0.0
    waited: float = 0.0
    """Seconds of the running epoch, and those in which this rank waited for rows. A checkpoint has
    rank 0's."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read back. `arrays`: `weights`, `optimizer` and, if there are any, `best`."""

    progress: Progress
    arrays: Arrays

    def plain(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        return {"progress": asdict(self.progress), "arrays": dict(self.arrays)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint that `plain` was made from."""
        return cls(Progress(**plain["progress"]), dict(plain["arrays"]))


class Checkpoints:
    """The checkpoints of one run in a folder; only rank 0 touches them.

    `facts` are what must not change within a run: settings, versions, inputs.
    """

    def __init__(self, folder: str, facts: Mapping[str, Any]) -> None:
        self._folder = Folder(folder)
        self._facts = json.loads(json.dumps(facts, sort_keys=True, default=str))

    def save(self, progress: Progress, arrays: Arrays) -> None:
        """Write a checkpoint, then remove all but the newest two."""
        name = f"{_PREFIX}{progress.epoch:05d}-{progress.step:07d}"
        flat = {f"{kind}-{i:05d}": a for kind, many in arrays.items() for i, a in enumerate(many)}
        content = io.BytesIO()
        np.savez(content, **flat)
        manifest = {
            "format_version": FORMAT_VERSION,
            "progress": asdict(progress),
            "facts": self._facts,
            "num_bytes": content.getbuffer().nbytes,
        }
        place = self._folder.below(name)
        place.remove("manifest.json")
        place.write("arrays.npz", content.getvalue())
        place.write("manifest.json", json.dumps(manifest, sort_keys=True).encode("utf-8"))
        for old in self._names()[:-_KEPT]:
            self._folder.remove(old)

    def last(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None.

        Checkpoints of other table versions are removed: the run was refused on those (their files
        were gone, say) and has resolved its tables anew, so it begins as a clean run would. Raises
        TrainingError where a checkpoint belongs to a training with other settings.
        """
        for name in reversed(self._names()):
            place = self._folder.below(name)
            text = place.read("manifest.json")
            content = place.read("arrays.npz")
            if text is None or content is None:
                continue
            manifest = json.loads(text)
            if len(content) != manifest["num_bytes"]:
                continue
            self._check(manifest, place.uri)
            if manifest["facts"].get("versions") != self._facts.get("versions"):
                logger.warning(
                    "%s is of the versions %s; this training reads %s and begins anew",
                    *(place.uri, manifest["facts"].get("versions"), self._facts.get("versions")),
                )
                self._folder.remove(name)
                continue
            return Checkpoint(Progress(**manifest["progress"]), _unpacked(content))
        return None

    def clear(self) -> None:
        """Remove all checkpoints: the training is done."""
        for name in self._names():
            self._folder.remove(name)

    def _names(self) -> list[str]:
        return [name for name in self._folder.names() if name.startswith(_PREFIX)]

    def _check(self, manifest: Mapping[str, Any], uri: str) -> None:
        if manifest["format_version"] != FORMAT_VERSION:
            raise TrainingError(
                f"{uri} has checkpoint format {manifest['format_version']}, expected "
                f"{FORMAT_VERSION}. Start anew with another run id."
            )
        stored = manifest["facts"]
        # Other versions of the tables may bring other inputs; neither is a setting.
        differing = [
            f"{key} was {stored.get(key)!r}, now {self._facts.get(key)!r}"
            for key in sorted({*stored, *self._facts} - {"versions", "inputs"})
            if stored.get(key) != self._facts.get(key)
        ]
        if not differing and stored.get("versions") == self._facts.get("versions"):
            differing = ["inputs"] if stored.get("inputs") != self._facts.get("inputs") else []
        if differing:
            raise TrainingError(
                f"{uri} belongs to a training with other settings: {'; '.join(differing)}. "
                "Go back to those settings, or start anew with another run id."
            )


def _unpacked(content: bytes) -> Arrays:
    arrays: Arrays = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        for name in sorted(stored.files):
            arrays.setdefault(name.rpartition("-")[0], []).append(stored[name])
    return arrays
