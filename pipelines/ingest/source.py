"""Ingests sources: what is new or changed is found first, then read as one batch a source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from pipelines.config.ingest import Source
from pipelines.errors import SettingsError, TidemillError
from pipelines.ingest.batch import Writer
from pipelines.ingest.drift import refuse_drift
from pipelines.ingest.files import Landing, LandingFile
from pipelines.ingest.ledger import (
    SIGNED,
    UNREADABLE,
    Batch,
    Intent,
    add_unfinished,
    changed_files,
    check_still_there,
    files_to_try_again,
    read_ledger,
    sign,
)
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.session import quiet_session
from pipelines.ingest.tables import Tables, stored_columns
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at, table_exists
from pipelines.privacy.protect import Protection

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

_AT_A_TIME = 8
_Of = TypeVar("_Of")
_Done = TypeVar("_Done")


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

    def __post_init__(self) -> None:
        """Look at what is known of the source's files."""
        stored_columns(self.spark, self.lake, Tables(self.name), self.source)
        self._writer = Writer(self.spark, self.lake, self.name, self.source, self.protection)
        self._intent = Intent(self.spark, self.lake, self.pipeline, self.name)
        ledger = read_ledger(self.spark, self.lake, self.name)
        self._known = ledger.files
        self._unfinished = self._intent.unfinished(self._known)
        self._sign = sign(self.source)
        self._number = ledger.next_batch
        if self._unfinished:
            self._number = max(self._number, self._unfinished.number + 1)
        self._new: list[LandingFile] = []
        self._changed: list[LandingFile] = []
        self._again: list[LandingFile] = []
        self._reasons: dict[str, str] = {}
        self._read_with = ""

    @property
    def paths(self) -> Collection[str]:
        """The paths of all files that were read, or are being read."""
        return add_unfinished(self._known, self._unfinished)

    def check(self, listed: list[LandingFile]) -> None:
        """Find what is to be done, and what stops the run; write nothing.

        Raises FileChanged, SchemaDrift, or SettingsError.
        """
        if self._unfinished:
            check_still_there(self._unfinished, listed, self.landing)
            self._check_sign(self._unfinished)
        known = add_unfinished(self._known, self._unfinished)
        self._reasons = {path: one.reason for path, one in known.items()}
        self._new = [file for file in listed if file.path not in known]
        self._changed = changed_files(listed, known, self.source, self.name)
        last = self._intent.last()
        self._read_with = last.read_with if last else ""
        is_read_otherwise = self._read_with != self._sign
        self._again = files_to_try_again(listed, known, is_read_otherwise=is_read_otherwise)
        if self.source.schema_drift == "fail" and (self._new or self._changed):
            found = self._writer.sort_out([*self._new, *self._changed])
            refuse_drift(self.name, self.source, found.rejected)

    def _check_sign(self, batch: Batch) -> None:
        """Raise SettingsError where rows of an unfinished batch were read by other settings.

        A file that today's put aside would be tried again one day, and its rows be there twice.
        """
        rows = Tables(self.name).rows
        if batch.read_with in ("", self._sign) or not table_exists(self.spark, self.lake, rows):
            return
        newest = read_at(self.spark, self.lake, rows, latest_version(self.spark, self.lake, rows))
        if newest.where(f"_batch = {batch.number}").isEmpty():
            return
        where = f"ingest.sources.{self.name}"
        raise SettingsError(
            f"an earlier run was stopped while it wrote files of source '{self.name}' "
            f"({batch.files[0].path} among them), and `{where}` was changed since: its rows are "
            f"there, but not yet noted. Put {', '.join(f'`{one}`' for one in sorted(SIGNED))} of "
            f"`{where}` back as they were, run `tidemill ingest {self.pipeline}` to have it "
            "finished, and change them then."
        )

    def ingest(self) -> None:
        """Finish what a stopped run left, then read all that is new or changed, as one batch."""
        if self._unfinished:
            logger.info("%s: finishing a batch of an earlier run", self.name)
            self._write(self._unfinished)
        again = [*self._changed, *self._readable_again()]
        files = tuple(sorted([*self._new, *again]))
        if files:
            app_id = f"ingest.{self.pipeline}.{self.name}"
            corrected = tuple(file.path for file in again)
            number, signed = self._number, self._sign
            self._write(Batch(app_id, number, number, files, corrected, read_with=signed))
        elif self._again and (last := self._intent.last()) and last.read_with != self._sign:
            # So that they are tried once by these settings, and not by every run from now on.
            self._intent.note(replace(last, read_with=self._sign))

    def _readable_again(self) -> list[LandingFile]:
        """Return the files that earlier runs put aside, and that can be read now.

        Of the others the log tells each time, and the tables once, unless for another reason. They
        count as put aside by this run, too, unless only an older release's note made it try.
        """
        if not self._again:
            return []
        found = self._writer.sort_out(self._again)
        still = {
            file: why
            for file, why in found.rejected.items()
            if why.startswith(UNREADABLE) or why == self._reasons[file.path]
        }
        for file, reason in still.items():
            logger.warning("%s: still put aside %s: %s", self.name, file.path, reason)
            if self._read_with or reason.startswith(UNREADABLE):
                self.outcome.rejected[file.path] = reason
        return [file for file in self._again if file not in still]

    def _write(self, batch: Batch) -> None:
        outcome = self._writer.write(batch, self._intent.note)
        self.outcome.add(outcome)
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

    A changed file of any source stops the run before anything is written. The sources are read side
    by side; one that fails does not stop the others, and its error is raised when they are done.
    Sources whose `protections` are set `at_ingest` are written without a clear value of their
    marked columns; of all that have some, nothing is said that may be a value.
    """
    protections = protections or {}
    landing = Landing.open(quiet_session(spark), place, pipeline)
    there = {name: one for name, one in sources.items() if landing.check(name, one)}

    def look(name: str) -> SourceIngest:
        protection = protections.get(name)
        return SourceIngest(landing.spark, lake, landing, pipeline, name, there[name], protection)

    found, failed = _side_by_side(spark, look, list(there))
    if failed:
        raise _first(failed)
    parts = {part.name: part for part in found}
    listed = landing.list(there, {name: part.paths for name, part in parts.items()})
    for name, files in listed.items():
        parts[name].check(files)
    _, failed = _side_by_side(spark, SourceIngest.ingest, list(parts.values()))
    if failed:
        raise _first(failed)
    return {name: parts[name].outcome if name in parts else Outcome() for name in sources}


def _side_by_side(
    spark: SparkSession, do: Callable[[_Of], _Done], things: Sequence[_Of]
) -> tuple[list[_Done], list[Exception]]:
    """Do the same with several things at a time; return what came of it, and what failed.

    An interrupt ends the Spark jobs that are under way.
    """
    done: list[_Done] = []
    failed: list[Exception] = []
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="ingest") as threads:
        waiting = [threads.submit(do, thing) for thing in things]
        try:
            for one in waiting:
                try:
                    done.append(one.result())
                except Exception as error:
                    failed.append(error)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            spark.sparkContext.cancelAllJobs()
            raise
    return done, failed


def _first(failed: Sequence[Exception]) -> Exception:
    """Return the error to tell: one that says how to go on, if there is any."""
    return next((one for one in failed if isinstance(one, TidemillError)), failed[0])
