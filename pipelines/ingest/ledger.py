"""What is known of a source's files, and which of them changed since they were read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

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

Status = Literal["ingested", "rejected", "corrected"]


@dataclass(frozen=True)
class Known:
    """A file as it was when it was last read."""

    modified_ms: int
    length: int
    status: str


def read_ledger(spark: SparkSession, lake: Lake, source: str) -> dict[str, Known]:
    """Return the newest entry of every file of a source, by path."""
    from pyspark.sql import functions as F

    table = Tables(source).files
    if not table_exists(spark, lake, table):
        return {}
    # Hardly a file has two entries, so they are sorted out here rather than shuffled there.
    entries = (
        spark.read.format("delta")
        .load(lake.path(table))
        .select("path", F.unix_millis("modified_at"), "length", "status")
        .collect()
    )
    known: dict[str, Known] = {}
    for path, modified, length, status in entries:
        if path not in known or known[path].modified_ms <= modified:
            known[path] = Known(modified, length, status)
    return known


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
        if before is None or (before.modified_ms, before.length) == (
            file.modified_ms,
            file.length,
        ):
            continue
        what = (
            f"{file.path} of source '{name}' changed after it was ingested: then "
            f"{before.length:,} bytes of {describe_ms(before.modified_ms)}, now "
            f"{file.length:,} bytes of {file.modified_at}."
        )
        if source.on_change == "fail" and before.status != "rejected":
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


@dataclass(frozen=True)
class Batch:
    """One write of a source's files, told apart from others by (app_id, version)."""

    app_id: str
    version: int
    number: int
    files: tuple[LandingFile, ...]
    status: Status = "ingested"


class Intent:
    """The batch that is being written, noted before its first write.

    A run that was killed between its writes is finished from this note: the same files under the
    same transaction id, whatever the stream's checkpoint says by then.
    """

    def __init__(self, spark: SparkSession, lake: Lake, pipeline: str, source: str) -> None:
        self._spark = spark
        self._place = lake.state(pipeline, "ingest", source)

    def note(self, batch: Batch) -> None:
        """Write down what is about to be written."""
        lake_files.write_text(self._spark, self._place, json.dumps(asdict(batch)))

    def unfinished(self, known: Mapping[str, Known]) -> Batch | None:
        """Return the noted batch if its files are not all in the ledger, its last write."""
        fields = lake_files.read_json(
            self._spark, self._place, "the stream then hands the same files over once more"
        )
        if fields is None:
            return None
        files = tuple(LandingFile(**file) for file in fields.pop("files"))
        done = all(
            file.path in known and known[file.path].modified_ms >= file.modified_ms
            for file in files
        )
        return None if done else Batch(files=files, **fields)


def add_unfinished(known: Mapping[str, Known], batch: Batch | None) -> dict[str, Known]:
    """Count the files of an unfinished batch as known: they may be half written."""
    pending = batch.files if batch else ()
    return {
        **known,
        **{file.path: Known(file.modified_ms, file.length, "ingested") for file in pending},
    }


def check_still_there(batch: Batch, listed: Sequence[LandingFile], landing: Landing) -> None:
    """Raise FileChanged where files of an unfinished batch have left the landing folder."""
    gone = sorted({file.path for file in batch.files} - {file.path for file in listed})
    if gone:
        raise FileChanged(
            f"an earlier ingest was stopped while it wrote {len(batch.files)} files, and of these "
            f"{len(gone)} are no longer in {landing.root}: {', '.join(gone[:5])}. "
            "Put them back, with the times they had, and run ingest again."
        )
