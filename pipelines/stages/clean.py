"""clean: new bronze rows become typed silver rows, one per key, or quarantined ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from pipelines.cleaning.batch import Batch, prepare
from pipelines.cleaning.begin import FoundBronze, check_again, look, nothing_to_clean
from pipelines.cleaning.gates import judge_tables
from pipelines.cleaning.outcome import done, tell
from pipelines.cleaning.store import store
from pipelines.cleaning.tables import create_tables
from pipelines.errors import QualityError
from pipelines.privacy.keys import check_keys
from pipelines.quality.table_rules import TableResult
from pipelines.run import Done, Run

_Answer = TypeVar("_Answer")

_AT_ONCE = 2
"""Entities worked on at the same time: one plans while the other one's tasks run."""


def run(run: Run) -> Done:
    """Clean what bronze holds beyond each entity's progress.

    All entities are treated and judged first; a broken rule of severity `fail` in any of them
    raises QualityError before anything is written. Then each is written: quarantine, silver,
    progress. Without new rows nothing is written. Entities of `run.again` are made anew from all of
    bronze. Its fault is TooMuchAside, where too many of the new rows went into quarantine.
    """
    entities = run.pipeline.clean.entities
    check_again(run)
    check_keys(run.spark, run.lake, run.pipeline.name, run.pipeline.privacy.keys)
    bronze = run.resolve(FoundBronze, "clean", lambda: look(run)).bronze
    if not any(bronze.values()):
        raise nothing_to_clean(run)
    for name, entity in entities.items():
        if bronze.get(entity.source) is None:
            create_tables(run, name)
    delivered = {n: found for n, e in entities.items() if (found := bronze.get(e.source))}
    batches: dict[str, Batch] = {}
    try:
        for batch in _each(delivered, lambda name: prepare(run, name, delivered[name])):
            if batch is not None:
                batches[batch.name] = batch
        judged = judge_tables(run, batches)
        _refuse(run, batches, judged)
        batches = {
            name: replace(batch, table_results=tuple(judged.get(name, ())))
            for name, batch in batches.items()
        }
        written = dict(zip(batches, _each(batches, lambda n: store(run, batches[n])), strict=True))
        return done(run, bronze, batches, written, tell(run, judged))
    finally:
        for batch in batches.values():
            batch.rows.unpersist()


def _each(names: Iterable[str], work: Callable[[str], _Answer]) -> Iterator[_Answer]:
    """Return the work's answers in the order of the names, two at work at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(work, names)


def _refuse(
    run: Run, batches: Mapping[str, Batch], judged: Mapping[str, Sequence[TableResult]]
) -> None:
    """Raise QualityError where a rule of severity `fail` is broken."""
    said = [batch.refusal for batch in batches.values() if batch.refusal is not None]
    every = [result for results in judged.values() for result in results]
    said += [one.line() for one in every if not one.is_ok and one.severity == "fail"]
    if said:
        raise QualityError(
            "\n".join(said) + "\nNothing was written. Deliver corrected rows (a newer row of the "
            "same key mends this), or change the rule or its severity under `clean.entities` in "
            f"conf/{run.pipeline.name}/pipeline.yml; then run clean again."
        )
