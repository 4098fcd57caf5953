"""What is known of a source's files, and which of them changed since they were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.errors import FileChanged
from pipelines.ingest.files import Landing, LandingFile, describe_ms
from pipelines.ingest.tables import Tables
from pipelines.lake import files as lake_files
from pipelines.lake.catalog import Lake
from pipelines.lake.read import table_exists

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CORRECTION_BATCH = -1
"""The number of files that older releases read again, each alone."""
DAMAGED = "damaged: "
"""So begins the reason of a file that could be opened, but not read to its end."""
UNREADABLE = "can't be read: "
"""So begins the reason of a file that could not be opened: it is tried again by every run."""
SIGNED = frozenset(["format", "columns", "headers", "options", "schema_drift"])
"""Settings of a source that decide which of its files can be read."""

Status = Literal["ingested", "rejected", "corrected"]


@dataclass(frozen=True)
class Known:
    """A file as it was when it was last read, and why it was rejected, if it was."""

    modified_ms: int
    length: int
    status: str
    reason: str = ""
    batch: int = CORRECTION_BATCH

    def is_like(self, file: LandingFile) -> bool:
        """Tell whether size and time are those of a file."""
        return (self.modified_ms, self.length) == (file.modified_ms, file.length)


@dataclass(frozen=True)
class Ledger:
    """The newest entry of every file of a source, by path, and the number of the next batch."""

    files: dict[str, Known] = field(default_factory=dict)
    next_batch: int = 0


def read_ledger(spark: SparkSession, lake: Lake, source: str) -> Ledger:
    """Return what is known of a source's files."""
    table = Tables(source).files
    if not table_exists(spark, lake, table):
        return Ledger()
    # Hardly a file has two entries, so they are sorted out here rather than shuffled there.
    entries = (
        spark.read.format("delta")
        .load(lake.path(table))
        .select("path", F.unix_millis("modified_at"), "length", "status", "reason", "_batch")
        .collect()
    )
    return newest_entries([tuple(entry) for entry in entries])


def newest_entries(entries: Iterable[tuple[str, int, int, str, str | None, int]]) -> Ledger:
    """Return the ledger of (path, milliseconds, length, status, reason, batch) in any order.

    The later batch counts: a rejected file may be replaced by an older one. Entries of files that
    were read alone have no such number; of them the newer file counts.
    """
    known: dict[str, Known] = {}
    last = CORRECTION_BATCH
    for path, modified, length, status, reason, batch in sorted(entries, key=lambda one: one[1]):
        before = known[path].batch if path in known else CORRECTION_BATCH
        if CORRECTION_BATCH in (batch, before) or batch >= before:
            known[path] = Known(modified, length, status, reason or "", batch)
        last = max(last, batch)
    return Ledger(known, last + 1)


def changed_files(
    listed: Iterable[LandingFile], known: Mapping[str, Known], source: Source, name: str
) -> list[LandingFile]:
    """Return the files that must be read again: size or time is not what it was.

    Raises FileChanged where the source takes a change for a mistake. A file that was rejected as
    a whole may always be mended in place: nothing of it is in the table.
    """
    changed = []
    for file in listed:
        before = known.get(file.path)
        if before is None or before.is_like(file):
            continue
        if before.status == "rejected":
            changed.append(file)
            continue
        what = (
            f"{file.path} of source '{name}' changed after it was ingested: then "
            f"{before.length:,} bytes of {describe_ms(before.modified_ms)}, now "
            f"{file.length:,} bytes of {file.modified_at}."
        )
        if source.on_change == "fail":
            raise FileChanged(
                f"{what} A file is read once. Put the old file back with its time and deliver the "
                "new content under a new name, or let changed files be read again with "
                f"`ingest.sources.{name}.on_change: correction`."
            )
        if file.modified_ms < before.modified_ms:
            raise FileChanged(
                f"{what} It is older than what was read before, so its rows would lose against "
                "them. If it is meant as a correction, give it the present time (`touch`)."
            )
        changed.append(file)
    return changed


def files_to_try_again(
    listed: Iterable[LandingFile], known: Mapping[str, Known], *, is_read_otherwise: bool = False
) -> list[LandingFile]:
    """Return the files that were put aside, are as they were, and may be readable now.

    Those are the ones that could not be opened: a right may be given now. Where the settings by
    which the source is read are others than those of the last batch (`is_read_otherwise`), all are
    but those whose bytes are damaged.
    """
    found = []
    for file in listed:
        before = known.get(file.path)
        if before is None or before.status != "rejected" or not before.is_like(file):
            continue
        may_be_read = is_read_otherwise and not before.reason.startswith(DAMAGED)
        if may_be_read or before.reason.startswith(UNREADABLE):
            found.append(file)
    return found


def sign(source: Source) -> str:
    """Return a short hash of the settings that decide which files can be read."""
    text = json.dumps(source.model_dump(mode="json", include=set(SIGNED)), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True)
class Batch:
    """One write of a source's files, told apart from others by (app_id, version).

    `corrected` are the paths of files that were read before. `bad` are those that were found to be
    unreadable, with the reason: once noted, a later run must not find otherwise.
    """

    app_id: str
    version: int
    number: int
    files: tuple[LandingFile, ...]
    corrected: tuple[str, ...] = ()
    bad: Mapping[str, str] = field(default_factory=dict)
    read_with: str = ""
    """The sign of the settings by which its files were judged; older releases noted none."""

    def status(self, file: LandingFile) -> Status:
        """Return what becomes of a file of the batch if it can be read."""
        return "corrected" if file.path in self.corrected else "ingested"

    def is_in(self, known: Mapping[str, Known]) -> bool:
        """Tell whether the ledger has all of the batch's files, as the batch left them."""
        entries = [(file, known.get(file.path)) for file in self.files]
        return all(
            entry is not None and entry.batch == self.number and entry.is_like(file)
            for file, entry in entries
        )


class Intent:
    """The batch that is being written, noted before its first write.

    A run that was killed between its writes is finished from this note: the same files under the
    same transaction id, whatever else has landed by then.
    """

    def __init__(self, spark: SparkSession, lake: Lake, pipeline: str, source: str) -> None:
        self._spark = spark
        self._place = lake.state(pipeline, "ingest", source)

    def note(self, batch: Batch) -> None:
        """Write down what is about to be written."""
        lake_files.write_text(self._spark, self._place, json.dumps(asdict(batch)))

    def last(self) -> Batch | None:
        """Return the batch that was noted last, finished or not."""
        without_it = "files of that batch that are not in the ledger are then read once more"
        note = lake_files.read_json(self._spark, self._place, without_it)
        return None if note is None else batch_of(note)

    def unfinished(self, known: Mapping[str, Known]) -> Batch | None:
        """Return the noted batch if its files are not all in the ledger, its last write."""
        batch = self.last()
        return None if batch is None or batch.is_in(known) else batch


def batch_of(note: Mapping[str, Any]) -> Batch:
    """Read a batch that was noted, by this release or an older one."""
    fields = dict(note)
    files = tuple(LandingFile(**file) for file in fields.pop("files"))
    corrected = tuple(fields.pop("corrected", ()))
    if fields.pop("status", None) == "corrected":
        corrected = tuple(file.path for file in files)
    return Batch(files=files, corrected=corrected, **fields)


def add_unfinished(known: Mapping[str, Known], batch: Batch | None) -> dict[str, Known]:
    """Count the files of an unfinished batch as known: they may be half written."""
    if batch is None:
        return dict(known)
    pending = {
        file.path: Known(
            file.modified_ms,
            file.length,
            "rejected" if file.path in batch.bad else "ingested",
            batch.bad.get(file.path, ""),
        )
        for file in batch.files
    }
    return {**known, **pending}


def check_still_there(batch: Batch, listed: Sequence[LandingFile], landing: Landing) -> None:
    """Raise FileChanged where files of an unfinished batch have left the landing folder."""
    needed = {file.path for file in batch.files} - set(batch.bad)
    gone = sorted(needed - {file.path for file in listed})
    if gone:
        raise FileChanged(
            f"an earlier ingest was stopped while it wrote {len(batch.files)} files, and of these "
            f"{len(gone)} are no longer in {landing.root}: {', '.join(gone[:5])}. "
            "Put them back, with the times they had, and run ingest again."
        )
