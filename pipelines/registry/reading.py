"""What a training that has no bundle yet is reading: a note that keeps vacuum from its files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.errors import TidemillError, TrainingError
from pipelines.lake.folder import Folder

DAYS = 30.0
"""How long a note counts after the training's last start: one that was killed and never tried again
must not keep files for ever."""
_NOTE = "reading.json"


@dataclass(frozen=True)
class Reading:
    """Tables by name with the version read; `training_sets` are those that ranks read files of."""

    tables: Mapping[str, int]
    training_sets: tuple[str, ...]


def note_reading(folder: str, reading: Reading, now: dt.datetime | None = None) -> None:
    """Note in a training's folder what it reads, from now on."""
    at = now or dt.datetime.now(dt.UTC)
    content = {
        "tables": dict(reading.tables),
        "training_sets": list(reading.training_sets),
        "started_at": at.isoformat(),
    }
    Folder(folder).write(_NOTE, json.dumps(content, sort_keys=True).encode("utf-8"))


def end_reading(folder: str) -> None:
    """Take the note away: the training is done, or was refused."""
    Folder(folder).remove(_NOTE)


def reading(folder: str, now: dt.datetime | None = None) -> Reading | None:
    """Return what the training of a folder reads; None where it ended or was left alone."""
    text = Folder(folder).read(_NOTE)
    if text is None:
        return None
    plain = json.loads(text)
    age = (now or dt.datetime.now(dt.UTC)) - dt.datetime.fromisoformat(plain["started_at"])
    if age > dt.timedelta(days=DAYS):
        return None
    return Reading(plain["tables"], tuple(plain["training_sets"]))


@contextmanager
def while_reading(folder: str, what: Reading) -> Iterator[None]:
    """Have vacuum spare what a training reads, also after a kill; not after a refusal.

    A refused run looks at its input anew, as the runner has it; one that was killed, or that lost
    its ranks, goes on with the same files.
    """
    note_reading(folder, what)
    try:
        yield
    except TidemillError as error:
        if not isinstance(error, TrainingError):
            end_reading(folder)
            Folder(folder).remove("bundle")  # an erasure's mark on it was for what it read till now
        raise
