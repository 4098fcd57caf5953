"""Ingests sources: what changed is found first, then each source's stream brings what is new."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.errors import TidemillError
from pipelines.ingest.batch import Outcome, Writer
from pipelines.ingest.drift import refuse_drift
from pipelines.ingest.files import Landing, LandingFile
from pipelines.ingest.ledger import (
    CORRECTION_BATCH,
    Batch,
    Intent,
    Known,
    Status,
    add_unfinished,
    changed_files,
    check_still_there,
    read_ledger,
)
from pipelines.ingest.stream import quiet_session, start_stream, torn
from pipelines.ingest.tables import Tables, stored_columns
from pipelines.lake.catalog import Lake
from pipelines.privacy.protect import Protection

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

logger = logging.getLogger(__name__)


@dataclass
class SourceIngest:
    """One source on its way into its tables."""

    spark: SparkSession
    lake: Lake
    landing: Landing
    pipeline: str
    name: str
    source: Source
    protection: Protection | None = None
    """The source's marks: bronze takes them where they are set `at_ingest`."""
    outcome: Outcome = field(default_factory=Outcome)
    error: Exception | None = None

    def __post_init__(self) -> None:
        """Look at what is known of the source's files."""
        stored_columns(self.spark, self.lake, Tables(self.name), self.source)
        self._writer = Writer(self.spark, self.lake, self.name, self.source, self.protection)
        self._intent = Intent(self.spark, self.lake, self.pipeline, self.name)
        self._known: dict[str, Known] = read_ledger(self.spark, self.lake, self.name)
        self._unfinished = self._intent.unfinished(self._known)
        self._listed: list[LandingFile] = []
        self._changed: list[LandingFile] = []

    def check(self, listed: list[LandingFile]) -> None:
        """Find what stops the run: raise FileChanged, or SchemaDrift. Writes nothing."""
        if self._unfinished:
            check_still_there(self._unfinished, listed, self.landing)
        self._listed = listed
        known = add_unfinished(self._known, self._unfinished)
        self._changed = changed_files(listed, known, self.source, self.name)
        if self.source.schema_drift == "fail":
            # What lands while the run reads is put aside: the streams are under way by then.
            new = [file for file in listed if file.path not in known]
            found = self._writer.sort_out([*new, *self._changed])
            refuse_drift(self.name, self.source, found.rejected)

    def start(self) -> StreamingQuery:
        """Finish what a stopped run left, then start the stream of new files."""
        if self._unfinished:
            logger.info("%s: finishing a batch of an earlier run", self.name)
            self._write(self._unfinished)
        return start_stream(self.spark, self.landing, self.source, self.checkpoint, self._on_batch)

    @property
    def checkpoint(self) -> str:
        """The folder of the stream's progress."""
        return self.lake.checkpoint(self.pipeline, "ingest", self.name)

    def correct(self) -> None:
        """Read what no stream hands over: changed files, and those it passed by.

        A stream passes by an empty file and takes it for done; a file that was empty once and has
        content now is read here.
        """
        passed_by = [file for file in self._listed if file.path not in self._known]
        for file in passed_by:
            logger.warning("%s: %s was empty when it was first seen", self.name, file.path)
            self._read_alone(file, "ingested")
        for file in self._changed:
            self._read_alone(file, "corrected")

    def _read_alone(self, file: LandingFile, status: Status) -> None:
        """Read a file whole, under a transaction id of its own."""
        # The size is part of the name: some stores keep times only to the second.
        sign = hashlib.sha256(f"{file.path}\n{file.length}".encode()).hexdigest()[:16]
        app_id = f"ingest.{self.pipeline}.{self.name}.correction.{sign}"
        self._write(Batch(app_id, file.modified_ms, CORRECTION_BATCH, (file,), status))

    def _on_batch(self, files: list[LandingFile], stream: str, number: int) -> None:
        """Write a batch of the stream.

        Files in the ledger are left out: they come again where the checkpoint was lost, or where
        a run was killed after its last write and before the stream noted that.
        """
        new = tuple(file for file in files if file.path not in self._known)
        if not new:
            return
        app_id = f"ingest.{self.pipeline}.{self.name}.{stream}"
        try:
            self._write(Batch(app_id, number, number, new))
        except Exception as error:
            # Spark hands on only the text of what fails in a stream's batch.
            self.error = error
            raise

    def _write(self, batch: Batch) -> None:
        self._intent.note(batch)
        outcome = self._writer.write(batch)
        self.outcome.add(outcome)
        for file in batch.files:
            status = "rejected" if file.path in outcome.rejected else batch.status
            self._known[file.path] = Known(file.modified_ms, file.length, status)
        for path, reason in outcome.rejected.items():
            logger.warning("%s: put aside %s: %s", self.name, path, reason)
        for path, said in outcome.drifted.items():
            logger.warning("%s: %s has other columns: %s", self.name, path, said)


def ingest_sources(
    spark: SparkSession,
    lake: Lake,
    pipeline: str,
    place: str,
    sources: Mapping[str, Source],
    protections: Mapping[str, Protection] | None = None,
) -> dict[str, Outcome]:
    """Bring all sources up to date with the landing folder; return what each took in.

    A changed file of any source stops the run before anything is written. The streams run side by
    side; one that fails does not stop the others, and its error is raised when they are done.
    Sources whose `protections` are set `at_ingest` are written without a clear value of their
    marked columns; of all that have some, nothing is said that may be a value.
    """
    protections = protections or {}
    landing = Landing.open(spark, place, pipeline)
    session = quiet_session(spark, landing)
    landing = Landing(session, landing.root)
    there = {name: one for name, one in sources.items() if landing.check(name, one)}
    parts = {
        name: SourceIngest(session, lake, landing, pipeline, name, one, protections.get(name))
        for name, one in there.items()
    }
    for name, files in landing.list(there).items():
        parts[name].check(files)
    running = [(part, part.start()) for part in parts.values()]
    failed: list[Exception] = []
    for part, query in running:
        try:
            query.awaitTermination()
            part.correct()
        except Exception as error:
            failed.append(part.error or torn(spark, part.checkpoint) or error)
        except BaseException:
            for _, one in running:
                one.stop()
            raise
    if failed:
        raise next((one for one in failed if isinstance(one, TidemillError)), failed[0])
    return {name: parts[name].outcome if name in parts else Outcome() for name in sources}
