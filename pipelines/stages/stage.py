"""How a stage describes itself: what others must know of it without importing it. Pure, light."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pipelines.errors import TidemillError, UsageError, nearest

if TYPE_CHECKING:
    from pipelines.lake.catalog import Table
    from pipelines.lake.tables import PipelineTables

    Tables = Callable[[PipelineTables], tuple[Table, ...]]

DagKind = Literal["prepare", "train", "score", "monitor"]
DAG_KINDS: tuple[DagKind, ...] = get_args(DagKind)
WAITS_FOR: dict[DagKind, DagKind] = {"score": "prepare", "monitor": "score"}
"""A DAG that works on what another one wrote for the same day."""


def _none(_tables: PipelineTables) -> tuple[Table, ...]:
    return ()


@dataclass(frozen=True)
class Equation:
    """`total` is the sum of `parts`, which are all counts of a result."""

    total: str
    parts: tuple[str, ...]

    def holds(self, counts: Mapping[str, int]) -> bool:
        """Tell whether it adds up, with no negative part."""
        parts = [counts[part] for part in self.parts]
        return min(parts) >= 0 and counts[self.total] == sum(parts)

    def said(self, counts: Mapping[str, int]) -> str:
        """Return the equation with its numbers."""
        parts = " + ".join(f"{part} {counts[part]:,}" for part in self.parts)
        return f"{self.total} {counts[self.total]:,} = {parts}"


@dataclass(frozen=True)
class InDag:
    """A stage's place in a DAG, and what its runs there are for.

    A dated one follows the DAG's day. `since` names a setting: so many days before are in its range
    too.
    """

    dag: DagKind
    is_dated: bool = False
    since: str | None = None


class DependsOn(NamedTuple):
    """What a stage's result depends on beside code and dates, by the dotted names of settings.

    `queries` name files of the pipeline's folder, `functions` the user's own `module:function`.
    """

    settings: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


_NOTHING = DependsOn()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage: a module with `run(run) -> Done`, and what must be known of it elsewhere."""

    name: str
    help: str
    """One sentence, for `tidemill --help`."""
    reads: str
    """What it reads, writes, and what a second run does: the words of README's table."""
    writes: str
    again: str
    equations: tuple[Equation, ...]
    """What must add up in the counts of every run, so that no row is lost on its way."""
    can_go_by_hand: bool = False
    """Whether its command also takes a version that somebody has chosen."""
    counted_elsewhere: str = ""
    """Where its rows are counted, if it has no equation."""
    reads_tables: Tables = _none
    writes_tables: Tables = _none
    after: tuple[str, ...] = ()
    """The stages whose results it works on."""
    depends_on: DependsOn = _NOTHING
    """What its result depends on, beside what those of `after` do."""
    dags: tuple[InDag, ...] = ()
    side_by_side: bool = False
    """Whether runs of other ids may be at work beside one; else a second run waits for the first.
    A retry always waits for its first try."""
    shares_run_of: str | None = None
    """A stage by whose run id it finds what it works on."""
    sees_clear_values: bool = False
    """Whether it reads columns that privacy marks, which an error must not quote."""
    rewrites_pseudonyms: bool = False
    """Whether a run of it beside a rotation of keys would leave pseudonyms of the older ones."""
    loads_models: bool = False
    """Whether its Python workers load a model, and so may end with an error of ours."""
    sql_error: type[TidemillError] | None = None
    """What an SQL expression of its settings that Spark can't read becomes."""
    can_do_again: bool = False
    """Whether it can make its entities' tables anew."""
    module: str = ""
    """Where it lies, if not in the file of its name beside this one."""

    def __post_init__(self) -> None:
        """Refuse a stage that says nothing of where its rows go."""
        if not self.name.isidentifier():
            raise UsageError(f"'{self.name}' can't name a stage; expected letters, digits and `_`.")
        if not self.equations and not self.counted_elsewhere:
            raise UsageError(
                f"stage '{self.name}' has no equations: nothing would notice that it loses rows. "
                "Give the counts that must add up, or say in `counted_elsewhere` where they are."
            )

    @property
    def place(self) -> str:
        """Name of the module with its function `run`."""
        return self.module or f"pipelines.stages.{self.name}"

    @property
    def follows_date(self) -> bool:
        """Whether its runs are for a day; others follow progress, or take all there is."""
        return any(one.is_dated for one in self.dags)


class Stages:
    """All stages, in the order in which data passes them."""

    def __init__(self, *stages: Stage) -> None:
        self._by_name: dict[str, Stage] = {}
        for stage in stages:
            self.add(stage)

    def add(self, stage: Stage) -> None:
        """Add a stage behind all others that are there.

        Raises UsageError where there is one of its name, or where it works on what comes later.
        """
        if stage.name in self._by_name:
            raise UsageError(f"there is a stage '{stage.name}' already; expected another name.")
        for name in (*stage.after, *([stage.shares_run_of] if stage.shares_run_of else [])):
            if name not in self._by_name:
                raise UsageError(
                    f"stage '{stage.name}' works on what '{name}' leaves, which is no stage before "
                    f"it; those are {', '.join(self.names) or 'none'}."
                )
        self._by_name[stage.name] = stage

    def remove(self, name: str) -> None:
        """Take a stage out."""
        del self._by_name[self[name].name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all stages, in order."""
        return tuple(self._by_name)

    def __iter__(self) -> Iterator[Stage]:
        return iter(tuple(self._by_name.values()))

    def __getitem__(self, name: str) -> Stage:
        """Return a stage; raise UsageError for an unknown one, with the nearest known."""
        if name not in self._by_name:
            raise UsageError(
                f"no stage '{name}'; stages are {', '.join(self.names)}."
                f"{nearest(name, list(self.names))}"
            )
        return self._by_name[name]

    def writer_of(self, table: Table, tables: PipelineTables) -> Stage:
        """Return the stage that writes one of a pipeline's tables."""
        return next(stage for stage in self if table in stage.writes_tables(tables))

    def of_dag(self, dag: DagKind) -> tuple[Stage, ...]:
        """Return the stages that a DAG runs, in order."""
        return tuple(stage for stage in self if any(one.dag == dag for one in stage.dags))

    def until(self, name: str) -> tuple[Stage, ...]:
        """Return a stage with all those whose results it works on, however far back, in order."""
        wanted = {self[name].name}
        for stage in reversed(tuple(self)):
            if stage.name in wanted:
                wanted |= set(stage.after)
        return tuple(stage for stage in self if stage.name in wanted)

    def depends_on(self, name: str) -> DependsOn:
        """Return all that a stage's result depends on, by itself and through those before it."""
        parts = [stage.depends_on for stage in self.until(name)]
        return DependsOn(
            tuple(dict.fromkeys(one for part in parts for one in part.settings)),
            tuple(dict.fromkeys(one for part in parts for one in part.queries)),
            tuple(dict.fromkeys(one for part in parts for one in part.functions)),
        )
