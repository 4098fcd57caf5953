"""The way back from a table's version to the landing files, through the records of runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    inputs: tuple[Origin, ...] = ()


def trace(records: Sequence[RunRecord], table: str, version: int | None = None) -> Origin | None:
    """Return where a table at a version (by default its newest) came from.

    None where no record tells of the table. `records` are in the order of time.
    """
    known = [one for one in records if table in one.written]
    if version is None:
        if not known:
            return None
        version = max(one.written[table] for one in known)
    return _origin(records, table, version, frozenset())


def _origin(
    records: Sequence[RunRecord], table: str, version: int, above: frozenset[str]
) -> Origin:
    # A run that found nothing new names the version it left alone: the first to name it wrote it.
    writers: dict[int, RunRecord] = {}
    for one in records:
        if table in one.written and one.written[table] <= version:
            writers.setdefault(one.written[table], one)
    if not writers:
        return Origin(table, version, None)
    written = max(writers)
    run = writers[written]
    inputs = tuple(
        _origin(records, name, at, above | {table})
        for name, at in run.read.items()
        if name not in above and name != table
    )
    return Origin(table, written, run, len(writers) - 1, inputs)


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
    yield f"{name}  <- {run.stage}{day}, run {run.run_id}{earlier}"
    for one in origin.inputs:
        yield from lines(one, landed, depth + 1)
    if run.stage == "ingest":
        files = landed(origin.table, run.written.get(f"{origin.table}_files", origin.version))
        if files:
            between = f"{files[0]} .. {files[-1]}" if len(files) > 1 else files[0]
            yield f"{space}  {len(files)} landing files: {between}"
