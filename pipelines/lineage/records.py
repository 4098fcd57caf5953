"""The table `monitoring.runs`: one row for each time a stage came to its end, good or bad.

A row is a record of what happened, so a repeated run adds one: it says that nothing was new. The
same attempt is never recorded twice (its row goes in under a transaction id of its own).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pipelines.lake.catalog import Lake
from pipelines.lake.places import absolute, relative
from pipelines.lake.rows import rows_of
from pipelines.lake.tables import RUNS
from pipelines.lake.write import append_once
from pipelines.run import Run, StageResult
from pipelines.secrecy import hide_in

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_MAY_BE_NULL = ("date", "since", "error")
Status = Literal["done", "failed", "stopped"]
"""`stopped` is an attempt that was killed, as a later run found it."""


@dataclass(frozen=True)
class RunRecord:
    """A run of a stage. `read`, `written` map tables to versions; times are UTC."""

    run_id: str
    stage: str
    pipeline: str
    date: str | None
    since: str | None
    started_at: dt.datetime
    seconds: float
    read: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    settings_hash: str = ""
    """Of the settings, queries and code that the result depends on."""
    code_version: str = ""
    """Release of this package, and a hash of its code."""
    status: Status = "done"
    """Rows of a release before it was kept are of runs that were done."""
    error: str | None = None
    """Why it failed, without values of rows."""

    @classmethod
    def of(cls, run: Run, result: StageResult, started_at: dt.datetime, was: Hashes) -> RunRecord:
        """Return the record of a stage that has just ended."""
        return cls(
            run_id=run.run_id,
            stage=result.stage,
            pipeline=result.pipeline,
            date=result.date or (str(run.date) if run.date else None),
            since=str(run.since) if run.since else None,
            started_at=started_at,
            seconds=result.seconds,
            read=result.read,
            written=result.written,
            counts=result.counts,
            details=result.details,
            settings_hash=was.settings,
            code_version=code_version(was.code),
        )


@dataclass(frozen=True)
class Hashes:
    """What a result depended on, as hashes."""

    settings: str
    code: str


def code_version(code: str) -> str:
    """Return how a record names the code that ran: the release and a hash."""
    return f"{version('tidemill')}+{code[:12]}"


def keep(run: Run, record: RunRecord) -> int:
    """Append a record to the runs table; return the table's version."""
    row = asdict(record)
    row["details"] = json.dumps(
        relative(run.lake, hide_in(record.details)), sort_keys=True, default=str
    )
    for name in ("read", "written", "counts"):
        row[name] = {key: int(value) for key, value in row[name].items()}
    df = run.spark.createDataFrame([row], _schema()).coalesce(1)
    attempt = f"{record.run_id} {record.stage}"
    return append_once(df, run.lake, RUNS, attempt, int(record.started_at.timestamp() * 1e6))


def _schema() -> StructType:
    from pyspark.sql import types as T

    text, numbers = T.StringType(), T.MapType(T.StringType(), T.LongType())
    types = {
        **dict.fromkeys(("run_id", "stage", "pipeline", "date", "since"), text),
        "started_at": T.TimestampType(),
        "seconds": T.DoubleType(),
        **dict.fromkeys(("read", "written", "counts"), numbers),
        **dict.fromkeys(("details", "settings_hash", "code_version", "status", "error"), text),
    }
    return T.StructType([T.StructField(name, kind) for name, kind in types.items()])


def read_records(lake: Lake) -> list[RunRecord]:
    """Return all records of a lake, oldest first; none where nothing has run. Needs no Spark."""
    rows = rows_of(lake, RUNS)
    return sorted((_record(lake, row) for row in rows), key=lambda one: one.started_at)


def _record(lake: Lake, row: dict[str, Any]) -> RunRecord:
    for name in ("read", "written", "counts"):
        row[name] = dict(row[name] or [])
    row["details"] = absolute(lake, json.loads(row["details"]))
    row["started_at"] = row["started_at"].replace(tzinfo=dt.UTC)
    # Rows of an older release have nothing in newer fields; those of a newer one have more fields.
    known = {one.name for one in fields(RunRecord)}
    given = {k: v for k, v in row.items() if k in known and (v is not None or k in _MAY_BE_NULL)}
    return RunRecord(**given)
