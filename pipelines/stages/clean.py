"""clean: new bronze rows become typed silver rows, one per key, or quarantined ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypeVar

from pipelines.cleaning.aside import all_rejected, aside_notes, too_much_aside
from pipelines.cleaning.batch import Batch, Bronze, prepare
from pipelines.cleaning.gates import judge_tables
from pipelines.cleaning.judge import count_reasons
from pipelines.cleaning.made_with import notes as made_with_notes
from pipelines.cleaning.progress import read_progress
from pipelines.cleaning.store import Counts, Written, store
from pipelines.cleaning.tables import create_tables
from pipelines.errors import QualityError, TableNotFound, TooMuchAside, UsageError, nearest
from pipelines.lake.changes import table_id
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.tables import bronze as bronze_table
from pipelines.lake.tables import quarantine
from pipelines.privacy.keys import check_keys
from pipelines.quality.table_rules import TableResult
from pipelines.run import Done, Resolved, Run, resolve_place

logger = logging.getLogger(__name__)

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
    _check_again(run)
    check_keys(run.spark, run.lake, run.pipeline.name, run.pipeline.privacy.keys)
    bronze = run.resolve(_Resolved, "clean", lambda: _look(run)).bronze
    if not any(bronze.values()):
        raise _nothing_to_clean(run)
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
        return _done(run, bronze, batches, written, _tell(run, judged))
    finally:
        for batch in batches.values():
            batch.rows.unpersist()


def _nothing_to_clean(run: Run) -> TableNotFound:
    if aside := all_rejected(run):
        return TableNotFound(
            f"there is nothing to clean: `ingest` has put aside all that it read, {aside}. "
            f"Deliver files that can be read, or correct `ingest.sources`; then run `tidemill "
            f"ingest {run.pipeline.name}` again."
        )
    landing = resolve_place(run.pipeline.root, run.pipeline.landing)
    return TableNotFound(
        f"the lake {run.lake.root} holds no bronze table of {run.pipeline.name}: no file has "
        f"been read yet. Put files where `landing` and each source's `path` say "
        f"({', '.join(_places(run, landing))}), then run `tidemill ingest {run.pipeline.name}`."
    )


def _places(run: Run, landing: str) -> list[str]:
    """Return where the files of the first sources are looked for."""
    paths = [one.path for one in run.pipeline.ingest.sources.values() if one.jdbc is None]
    return [f"{landing}/{path}" for path in paths[:3]]


def _check_again(run: Run) -> None:
    """Raise UsageError where a run is to make an entity anew that there is not."""
    known = list(run.pipeline.clean.entities)
    for name in run.again:
        if name not in known:
            raise UsageError(
                f"--entity {name}: {run.pipeline.name} has no such entity; expected one of "
                f"{', '.join(known)}.{nearest(name, known)}"
            )


def _made_with_others(run: Run) -> list[str]:
    """Say which entities hold rows that other settings than today's have made."""
    made_with = {
        name: progress.made_with
        for name in run.pipeline.clean.entities
        if (progress := read_progress(run.spark, run.lake, run.pipeline.name, name))
    }
    return made_with_notes(run.pipeline, made_with)


@dataclass(frozen=True)
class _Resolved(Resolved):
    """Version and id of the bronze tables by source; None for those that are not there."""

    bronze: Mapping[str, Bronze | None]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the record of what was stored."""
        return cls({s: Bronze(**found) if found else None for s, found in plain["bronze"].items()})


def _look(run: Run) -> _Resolved:
    spark, lake = run.spark, run.lake
    found: dict[str, Bronze | None] = {}
    for entity in run.pipeline.clean.entities.values():
        table = bronze_table(entity.source)
        found[entity.source] = None
        if table_exists(spark, lake, table):
            version = latest_version(spark, lake, table)
            found[entity.source] = Bronze(version, table_id(spark, lake, table))
    return _Resolved(found)


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


def _tell(run: Run, judged: Mapping[str, Sequence[TableResult]]) -> list[dict[str, Any]]:
    """Warn of broken table rules; return how all of them fared."""
    every = [result for results in judged.values() for result in results]
    for result in every:
        if not result.is_ok:
            logger.warning("clean %s: %s", run.pipeline.name, result.line())
            run.progress({"event": "note", "text": result.line()})
    return [result.to_dict() for result in every]


def _done(
    run: Run,
    bronze: Mapping[str, Bronze | None],
    batches: Mapping[str, Batch],
    written: Mapping[str, Written],
    table_rules: Sequence[Mapping[str, Any]],
) -> Done:
    """Gather what was read, written and counted; untouched tables stand with their version."""
    tables = {}
    for name in run.pipeline.clean.entities:
        silver, kept_out = run.tables.silver(name), quarantine(name)
        if name in written:
            tables[str(silver)] = written[name].silver_version
            tables[str(kept_out)] = written[name].quarantine_version
            continue
        tables |= run.standing.versions(silver, kept_out)
    counts = {name: asdict(done.counts) for name, done in written.items()}
    total = {key: sum(each[key] for each in counts.values()) for key in asdict(Counts())}
    flat = {
        f"{name}.{key}": value
        for name, each in counts.items()
        for key, value in each.items()
        if value
    }
    notes = [note for done in written.values() for note in done.notes]
    notes += _made_with_others(run)
    for note in notes:
        logger.warning("clean %s: %s", run.pipeline.name, note)
    reasons = {
        name: count_reasons(batch.rows)
        for name, batch in batches.items()
        if batch.judgement.fates["quarantined"]
    }
    too_much = too_much_aside(run, batches, reasons)
    if too_much is None:
        for note in aside_notes(run, batches, reasons):
            logger.warning("clean %s: %s", run.pipeline.name, note)
    return Done(
        read={str(bronze_table(s)): found.version for s, found in bronze.items() if found},
        written=tables,
        counts={**total, **flat},
        details={
            "counts": counts,
            "rules": [r.to_dict(n) for n, b in batches.items() for r in b.judgement.rules],
            "reasons": reasons,
            "bounds": {
                f"{name}.{column}": fit.to_dict()
                for name, batch in batches.items()
                for column, fit in batch.fitted.items()
            },
            "zones": _zones(run, batches),
            "notes": notes,
            "table_rules": table_rules,
        },
        fault=TooMuchAside(too_much) if too_much else None,
    )


def _zones(run: Run, batches: Mapping[str, Batch]) -> dict[str, dict[str, Any]]:
    """Return how many times said no offset, and in which zone they were read."""
    return {
        f"{name}.{column}": {
            "zone": run.pipeline.zone_of(batch.entity.source),
            "values": values,
            "twice": twice,
        }
        for name, batch in batches.items()
        for column, (values, twice) in batch.judgement.zoned.items()
    }
