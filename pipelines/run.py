"""One run of a stage: what it is given, what it hands back, and what it wrote down at its start."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pipelines.config import Pipeline
from pipelines.errors import LakeError, TidemillError
from pipelines.lake import files
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.opened import OpenedLake, Standing
from pipelines.lake.places import absolute, relative
from pipelines.lake.tables import PipelineTables
from pipelines.lake.tenant import confine
from pipelines.secrecy import hide_in

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any]], None]
"""Called with events such as {"event": "epoch", "epoch": 2, "epochs": 8, "loss": 0.51}."""


@dataclass(frozen=True)
class Resolved:
    """What a stage looked up at its start: plain values, fields of a frozen dataclass."""

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the record of what was stored; fields that another release had are left out.

        Raises LakeError where a field is missing that has no default.
        """
        known = {one.name: one for one in fields(cls)}
        without = [name for name, one in known.items() if one.default is MISSING]
        if missing := sorted(set(without) - set(plain)):
            raise LakeError(
                f"what this run resolved at its start was stored by another release: it holds "
                f"{', '.join(sorted(plain)) or 'nothing'}, and no {', '.join(missing)}. "
                "Run the stage once more: it then looks the versions up anew."
            )
        return cls(**{name: value for name, value in plain.items() if name in known})

    def plain(self) -> dict[str, Any]:
        """Return what is stored."""
        return asdict(self)


@dataclass(frozen=True)
class Versions(Resolved):
    """The versions of the tables that a stage reads, and nothing else."""

    tables: Mapping[str, int]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the record; what is stored are the tables themselves."""
        return cls(dict(plain))

    def plain(self) -> dict[str, Any]:
        """Return the versions by table."""
        return dict(self.tables)


_Kind = TypeVar("_Kind", bound=Resolved)


def _ignore(event: dict[str, Any]) -> None:
    """Take an event and do nothing with it."""


@dataclass(frozen=True)
class Run:
    """What a stage needs: settings, session, lake, and the logical date it works for.

    `date` is the logical date, `since` the first day where a stage takes a range of days; None
    where the caller gave none. `run_id` names the run; a retry of a run carries the same one.
    """

    pipeline: Pipeline
    spark: SparkSession
    lake: Lake
    run_id: str
    date: dt.date | None = None
    since: dt.date | None = None
    progress: Progress = _ignore
    again: tuple[str, ...] = ()
    """Entities whose tables `clean` makes anew, from all of bronze."""
    writes: tuple[Table, ...] | None = None
    """The tables that the stage at work writes; None where no runner has said."""

    @property
    def tables(self) -> PipelineTables:
        """The names of the pipeline's tables."""
        return PipelineTables(self.pipeline)

    def open(self, versions: Mapping[str, int]) -> OpenedLake:
        """Return the lake at the versions that this run resolved."""
        return OpenedLake(self.spark, self.lake, versions)

    @property
    def standing(self) -> Standing:
        """The tables that the stage at work writes, as they stand."""
        return Standing(self.spark, self.lake, self.writes)

    def resolve(self, kind: type[_Kind], stage: str, look: Callable[[], _Kind]) -> _Kind:
        """Return what this run resolved for `stage`, looking only the first time.

        The answer of `look` (versions, champion: plain JSON values) is stored under the run id
        before anything is written, so that a retry of the run works on the same input.
        """
        place = self.lake.resolved(self.run_id, stage)
        without_it = f"run {self.run_id} then resolves the tables' versions anew"
        stored: dict[str, Any] | None = files.read_json(self.spark, place, without_it)
        if stored is not None:
            logger.info("run %s: %s goes on with what it resolved before", self.run_id, stage)
            return kind.of(absolute(self.lake, stored))
        found = look()
        plain = relative(self.lake, found.plain())
        files.write_text(self.spark, place, json.dumps(plain, sort_keys=True))
        return found

    def forget(self, stage: str) -> None:
        """Drop what this run resolved for `stage`: a refused run is to look at mended input."""
        files.delete(self.spark, self.lake.resolved(self.run_id, stage))


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a stage hands to the runner. `counts` is flat: `rows_in`, `rows_out`, `<table>.rows` ...

    `read` and `written` map table names to versions; what is no table stands in `details`:
    `ingest` reads the files of `details.landing`, `train` writes `details.bundle`, and `promote`
    moves an alias, judging by the tables it names in `read`. `details` also holds what else is
    worth knowing, as plain JSON values (metrics, paths, rule results). `date` is the last day it
    worked for. A `fault` is raised when all of that has been told: it stopped nothing.
    """

    read: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    date: dt.date | None = None
    fault: TidemillError | None = None


@dataclass(frozen=True)
class StageResult:
    """What a stage did, and in which run: what is kept of it, told, and shown."""

    stage: str
    pipeline: str
    run_id: str
    date: str | None = None
    read: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of(cls, stage: str, run: Run, done: Done, seconds: float) -> StageResult:
        """Return the record of what a stage did."""
        return cls(
            stage=stage,
            pipeline=run.pipeline.name,
            run_id=run.run_id,
            date=None if done.date is None else str(done.date),
            read=dict(done.read),
            written=dict(done.written),
            counts=dict(done.counts),
            details=dict(done.details),
            seconds=seconds,
        )

    def to_json(self) -> str:
        """Return the result as one JSON object."""
        return json.dumps(hide_in(asdict(self)), sort_keys=True, default=str)

    def line(self) -> str:
        """Return the one line that a log gets per stage."""
        parts = [f"{key}={value:,}" for key, value in self.counts.items()]
        parts += [f"{table}@{version}" for table, version in self.written.items()]
        return f"{self.stage} {self.pipeline}: {' '.join(parts)} in {self.seconds:.1f} s"


def new_run_id(pipeline: str) -> str:
    """Return a fresh run id: `<pipeline>-<UTC time>-<random>`."""
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{pipeline}-{now}-{uuid.uuid4().hex[:6]}"


def resolve_place(root: Path, place: str) -> str:
    """Return a URI as it is and a path as an absolute one, relative to the project's root.

    Raises TenantError where it lies outside of the tenant's place.
    """
    if "://" in place or place.startswith("file:"):
        return confine(place.rstrip("/"))
    path = Path(place).expanduser()
    return confine(str(path if path.is_absolute() else (root / path).resolve()))


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start, to the millisecond."""
        return round(time.monotonic() - self._start, 3)
