"""The one place where a table's name meets its path. Imports neither Spark nor TensorFlow.

Which tables there are stands in `pipelines.lake.tables`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Literal, get_args

from pipelines.errors import UsageError, nearest

Layer = Literal["bronze", "silver", "quarantine", "gold", "predictions", "monitoring"]
LAYERS: tuple[str, ...] = get_args(Layer)
_LONGEST = 200
_RECORDS = frozenset({"bronze", "quarantine", "predictions", "monitoring"})
_FED = frozenset({"bronze", "silver"})


@dataclass(frozen=True, order=True)
class Table:
    """A table of the lake by its name, `<layer>.<name>`.

    What tells its rows apart, and by what it is partitioned, is known of those that the catalog of
    tables names; two tables are the same by their names alone.
    """

    layer: str
    name: str
    key: tuple[str, ...] = field(default=(), compare=False, repr=False, kw_only=True)
    partition_by: tuple[str, ...] = field(default=(), compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        return f"{self.layer}.{self.name}"

    @property
    def is_record(self) -> bool:
        """Whether its rows are never made anew: a record may gain columns, and keeps its rows."""
        return self.layer in _RECORDS

    @property
    def has_change_feed(self) -> bool:
        """Whether the next stage finds in it what it has not yet consumed."""
        return self.layer in _FED

    @property
    def is_landed(self) -> bool:
        """Whether its rows came from landing files, unchanged."""
        return self.layer == "bronze"

    @property
    def is_merged(self) -> bool:
        """Whether rows are changed in place, by key."""
        return self.layer == "silver"

    @classmethod
    def parse(cls, text: str, *, key: tuple[str, ...] = ()) -> Table:
        """Read `silver.flights`; refuse an unknown layer with the nearest known one."""
        layer, _, name = text.partition(".")
        if layer not in LAYERS:
            hint = nearest(layer, list(LAYERS))
            raise UsageError(
                f"'{text}' names no layer of the lake; expected one of {LAYERS}.{hint}"
            )
        if not name.isidentifier():
            raise UsageError(
                f"'{text}' is no table name; expected something like '{layer}.flights'"
            )
        return cls(layer, name, key=key)


def check_version(version: object) -> int | None:
    """Return a table's version, None for the newest; raise UsageError for what is none."""
    if version is None:
        return None
    # Of any library: pandas hands out numpy's whole numbers.
    if isinstance(version, Integral) and not isinstance(version, bool) and int(version) >= 0:
        return int(version)
    raise UsageError(
        f"{version!r} is no version of a table; expected a whole number from 0 on, or None for "
        "the newest."
    )


def _one_name(name: str) -> str:
    """Return a name that becomes a folder's; refuse one that is a path."""
    if "/" in name or "\\" in name or name in ("", ".", "..") or not name.isprintable():
        raise UsageError(
            f"{name!r} can't name a run or a thing of the lake: it would become a path. Expected a "
            "name without `/`, such as flights-20130101."
        )
    if len(name.encode()) > _LONGEST:
        raise UsageError(
            f"'{name[:40]}...' can't name a run or a thing of the lake: it has "
            f"{len(name.encode())} bytes, and becomes part of a file's name. Expected {_LONGEST} "
            "at most."
        )
    return name


@dataclass(frozen=True)
class Lake:
    """Where everything of a lake lies. `root` is a URI or an absolute folder, without a last `/`.

    Folders that start with `_` are not tables: checkpoints, run records, models, reports.
    """

    root: str
    signed_by: str = field(default="", compare=False, repr=False, kw_only=True)
    """The run that all commits carry the id of; none where it is empty."""

    def signed(self, run_id: str) -> Lake:
        """Return the lake as a run writes to it."""
        return replace(self, signed_by=run_id)

    def path(self, table: Table | str) -> str:
        """Return the path of a table."""
        table = Table.parse(str(table))
        return f"{self.root}/{table.layer}/{table.name}"

    def checkpoint(self, pipeline: str, stage: str, name: str) -> str:
        """Return the place by which a stage of a pipeline is locked."""
        return f"{self.root}/_checkpoints/{pipeline}/{stage}/{_one_name(name)}"

    def runs(self, run_id: str) -> str:
        """Return the folder of what a run resolved at its start."""
        return f"{self.root}/_runs/{_one_name(run_id)}"

    def resolved(self, run_id: str, stage: str) -> str:
        """Return the file of what a run resolved at the start of a stage."""
        return f"{self.runs(run_id)}/{stage}.json"

    def state(self, pipeline: str, stage: str, name: str) -> str:
        """Return the path of a stage's stored facts (fitted outlier bounds and the like)."""
        return f"{self.root}/_state/{pipeline}/{stage}/{_one_name(name)}.json"

    def training(self, pipeline: str, run_id: str) -> str:
        """Return the folder of a training's checkpoints."""
        return f"{self.root}/_training/{pipeline}/{_one_name(run_id)}"

    @property
    def tracking(self) -> str:
        """Folder of MLflow's database and artifacts."""
        return f"{self.root}/_mlflow"

    def report(self, pipeline: str) -> str:
        """Return the folder of a pipeline's report pages."""
        return f"{self.root}/_reports/{_one_name(pipeline)}"

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return "://" not in self.root or self.root.startswith("file:")

    @property
    def local_root(self) -> str:
        """The lake's folder on this machine; only where `is_local`."""
        if not self.is_local:
            raise UsageError(f"the lake {self.root} is no local folder")
        return self.root.removeprefix("file://").removeprefix("file:")
