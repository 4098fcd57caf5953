"""Attempts at a stage that did not come to their end: what they wrote is found and recorded.

An attempt notes at its start that it is under way. One that fails is recorded where it fails; one
that is killed can't, so the next run finds its note, and its commits by the run id they carry.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.errors import TidemillError
from pipelines.lake import files
from pipelines.lake.catalog import LAYERS, Lake, Table
from pipelines.lake.delta_log import commits_since
from pipelines.lake.storage import TableFiles
from pipelines.lake.tables import RUNS
from pipelines.lineage.records import Hashes, RunRecord, Status, code_version, keep
from pipelines.run import Run

logger = logging.getLogger(__name__)

STOPPED = "was stopped before its end"
_FOLDER = "attempts"
_ROWS = ("numTargetRowsInserted", "numOutputRows")
_LONGEST = 300


@dataclass(frozen=True)
class Found:
    """What an attempt committed: newest versions, and rows inserted, by table."""

    written: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    last_ms: int = 0
    """When the last of them was made."""

    def said(self) -> str:
        """Return the commits in words: `bronze.flights@3 (+31,000 rows)`."""
        parts = [
            f"{table}@{version}" + (f" (+{self.rows[table]:,} rows)" if self.rows[table] else "")
            for table, version in self.written.items()
        ]
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage, as it notes itself at its start; times are UTC, in ISO's format."""

    run_id: str
    stage: str
    started_at: str
    date: str | None = None
    since: str | None = None
    settings: str = ""
    code: str = ""

    @classmethod
    def of(cls, run: Run, stage: str, started_at: dt.datetime, was: Hashes) -> Attempt:
        """Return the attempt that begins now."""
        date, since = (str(day) if day else None for day in (run.date, run.since))
        return cls(run.run_id, stage, started_at.isoformat(), date, since, was.settings, was.code)

    def begin(self, run: Run) -> None:
        """Note that the attempt is under way."""
        files.write_text(run.spark, self._place(run), json.dumps(asdict(self)))

    def end(self, run: Run) -> None:
        """Take the note away: what the attempt did is recorded."""
        files.delete(run.spark, self._place(run))

    def keep(self, run: Run, status: Status, error: str) -> Found:
        """Record what the attempt committed, and why it did not come to its end."""
        started_at = dt.datetime.fromisoformat(self.started_at)
        found = committed(run.lake, self.run_id, started_at)
        seconds = max(found.last_ms / 1000 - started_at.timestamp(), 0.0)
        if status == "failed":
            seconds = (dt.datetime.now(dt.UTC) - started_at).total_seconds()
        keep(
            run,
            RunRecord(
                run_id=self.run_id,
                stage=self.stage,
                pipeline=run.pipeline.name,
                date=self.date,
                since=self.since,
                started_at=started_at,
                seconds=round(seconds, 3),
                read=self._read(run),
                written=found.written,
                counts={f"{table}.rows": count for table, count in found.rows.items()},
                settings_hash=self.settings,
                code_version=code_version(self.code),
                status=status,
                error=error,
            ),
        )
        self.end(run)
        return found

    def _read(self, run: Run) -> dict[str, int]:
        """Return the versions that the attempt resolved before its first write."""
        place = run.lake.resolved(self.run_id, self.stage)
        features = str(run.tables.features)
        return versions_in(files.read_json(run.spark, place, "nothing is lost"), features)

    def _place(self, run: Run) -> str:
        return run.lake.state(run.pipeline.name, _FOLDER, f"{self.stage}.{self.run_id}")


def record_failed(run: Run, attempt: Attempt, error: Exception) -> None:
    """Record what an attempt wrote before it failed, and why it did. Never raises."""
    try:
        attempt.keep(run, "failed", reason_of(error))
    except Exception as second:
        # The lake itself may be what failed; the next run finds the note.
        logger.info("the failed run could not be recorded: %s", type(second).__name__)


def record_stopped(run: Run, stage: str, side_by_side: bool) -> list[str]:
    """Record the attempts at a stage that were killed; return what to say of each.

    Of a stage whose runs go side by side, only a retry knows that its first attempt is not alive.
    To be called with the stage's lock, under which no other run's attempt can be alive.
    """
    said = []
    for attempt in _unfinished(run, stage):
        is_own = attempt.run_id == run.run_id
        if is_own or (not side_by_side and run.lake.is_local):
            found = attempt.keep(run, "stopped", STOPPED)
            whose = "this run" if is_own else f"run {attempt.run_id}, which {STOPPED},"
            said.append(f"an earlier attempt of {whose} wrote: {found.said()}")
    return said


def _unfinished(run: Run, stage: str) -> list[Attempt]:
    """Return the attempts at a stage that did not come to their end, oldest first."""
    folder = run.lake.state(run.pipeline.name, _FOLDER, stage).rpartition("/")[0]
    found = []
    for name, stored in files.list_files(run.spark, folder).items():
        if name.startswith(f"{stage}.") and name.endswith(".json"):
            note = files.read_json(run.spark, stored.uri, "an attempt is then not recorded")
            if note is not None:  # else another run has just recorded it
                found.append(Attempt(**note))
    return sorted(found, key=lambda one: one.started_at)


def committed(lake: Lake, run_id: str, since: dt.datetime) -> Found:
    """Return what a run committed to any table of a lake from a moment on. Needs no Spark."""
    written: dict[str, int] = {}
    rows: dict[str, int] = {}
    last_ms = 0
    since_ms = int(since.timestamp() * 1000)
    for table in _tables(lake):
        for commit in commits_since(TableFiles(lake.path(table)), since_ms):
            if commit.run_id == run_id:
                written.setdefault(table, commit.version)
                last_ms = max(last_ms, commit.at_ms)
                counted = next((commit.metrics[one] for one in _ROWS if one in commit.metrics), 0)
                rows[table] = rows.get(table, 0) + int(counted)
    return Found(written, rows, last_ms)


def _tables(lake: Lake) -> Iterator[str]:
    for layer in LAYERS:
        for name in sorted(TableFiles(lake.root).names(layer)):
            table = str(Table(layer, name))
            if name.isidentifier() and not name.startswith("_") and table != str(RUNS):
                yield table


def reason_of(error: Exception) -> str:
    """Return why a run failed, in words that hold no value of a row.

    The table of runs is no place for them: it is kept long, and no erasure looks into it.
    """
    kind = type(error).__name__
    if isinstance(error, TidemillError):
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        about = (type(error).__doc__ or "").strip().splitlines()[0]
        return f"{kind}: {about if error.may_quote_rows else first[:_LONGEST]}"
    condition = getattr(error, "getCondition", lambda: None)()
    return f"{kind}: {condition}" if condition else kind


def versions_in(resolved: Any, features: str) -> dict[str, int]:
    """Return the versions of tables in what a stage resolved, wherever they stand in it.

    `features` is the table that `score` calls so.
    """
    found: dict[str, int] = {}
    for name, value in resolved.items() if isinstance(resolved, dict) else ():
        if name in LAYERS and isinstance(value, dict):
            found |= {str(Table(name, k)): v["version"] for k, v in value.items() if v}
        elif isinstance(value, dict):
            found |= versions_in(value, features)
        elif type(value) is int:
            table = features if name == "features" else str(name)
            found |= {table: value} if table.partition(".")[0] in LAYERS else {}
    return found
