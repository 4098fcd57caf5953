"""The way back from a table's version to the landing files, through the records of runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.lake.catalog import Table
from pipelines.lake.tables import ledger_of
from pipelines.lineage.records import RunRecord


@dataclass(frozen=True)
class Origin:
    """A table at a version, the run that wrote it, and what that run had read.

    `earlier` counts the runs before it that wrote into the same table: of a table that grows, each
    of them has left its rows. `run` is None for a table that nobody is known to have written.
    """

    table: str
    version: int
    run: RunRecord | None
    earlier: int = 0
    left_by: str | None = None
    """The run that committed, where it was stopped before it was recorded: `run` then found its
    work done, and so knows what it was made from."""
    inputs: tuple[Origin, ...] = ()


Committer = Callable[[str, int], str | None]
"""Gives the run id that the commit of a table's version carries; None where that is not known."""


def trace(
    records: Sequence[RunRecord],
    table: str,
    version: int | None = None,
    committed_by: Committer = lambda _table, _version: None,
) -> Origin | None:
    """Return where a table at a version (by default its newest) came from.

    None where no record tells of the table. `records` are in the order of time.
    """
    known = [one for one in records if table in one.written]
    if version is None:
        if not known:
            return None
        version = max(one.written[table] for one in known)
    return _origin(records, table, version, committed_by, frozenset())


def _origin(
    records: Sequence[RunRecord],
    table: str,
    version: int,
    committed_by: Committer,
    above: frozenset[str],
) -> Origin:
    # A run that found nothing new names the version it left alone, too.
    namers: dict[int, list[RunRecord]] = {}
    for one in records:
        if table in one.written and one.written[table] <= version:
            namers.setdefault(one.written[table], []).append(one)
    if not namers:
        return Origin(table, version, None)
    written = max(namers)
    # The commit itself says whose it is; of an older release's commit, the first to name it.
    author = committed_by(table, written)
    done = [one for one in namers[written] if one.status == "done"]
    own = [one for one in namers[written] if one.run_id == author]
    # A run that failed may not have come to say what it read; one that found its work done has.
    own_and_done = [one for one in own if one.status == "done"]
    run = (own_and_done or done or own or namers[written])[0]
    left_by = author if author and author != run.run_id else None
    inputs = tuple(
        _origin(records, name, at, committed_by, above | {table})
        for name, at in run.read.items()
        if name not in above and name != table
    )
    return Origin(table, written, run, len(namers) - 1, left_by, inputs)


def _ended(run: RunRecord) -> str:
    """Return how a run ended that was not done."""
    return f"failed ({run.error})" if run.status == "failed" else str(run.error)


def lines(
    origin: Origin, landed: Callable[[str, int], Sequence[str]], depth: int = 0
) -> Iterator[str]:
    """Yield one line of text for each table on the way back, indented by its distance.

    `landed` gives the landing files that a bronze table at a version was made from.
    """
    run, space = origin.run, "  " * depth
    name = f"{space}{origin.table}@{origin.version}"
    if run is None:
        yield f"{name}  <- no run is known"
        return
    runs = "run" if origin.earlier == 1 else "runs"
    earlier = f", after {origin.earlier} earlier {runs}" if origin.earlier else ""
    day = f" for {run.date}" if run.date else ""
    left = f", which found it as run {origin.left_by} had left it" if origin.left_by else ""
    failed = "" if run.status == "done" else f", which {_ended(run)}"
    yield f"{name}  <- {run.stage}{day}, run {run.run_id}{failed}{left}{earlier}"
    for one in origin.inputs:
        yield from lines(one, landed, depth + 1)
    if Table.parse(origin.table).is_landed:
        files = landed(origin.table, run.written.get(str(ledger_of(origin.table)), origin.version))
        if files:
            between = f"{files[0]} .. {files[-1]}" if len(files) > 1 else files[0]
            yield f"{space}  {len(files)} landing files: {between}"
