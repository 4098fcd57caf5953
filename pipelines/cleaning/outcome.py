"""What a run of clean has done, as its record keeps it and its log tells it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipelines.cleaning.aside import aside_notes, too_much_aside
from pipelines.cleaning.batch import Batch, Bronze
from pipelines.cleaning.judge import count_reasons
from pipelines.cleaning.made_with import notes as made_with_notes
from pipelines.cleaning.progress import read_progress
from pipelines.cleaning.store import Counts, Written
from pipelines.errors import TooMuchAside
from pipelines.lake.tables import bronze as bronze_table
from pipelines.lake.tables import quarantine
from pipelines.quality.table_rules import TableResult
from pipelines.run import Done, Run

logger = logging.getLogger(__name__)


def _made_with_others(run: Run) -> list[str]:
    """Say which entities hold rows that other settings than today's have made."""
    made_with = {
        name: progress.made_with
        for name in run.pipeline.clean.entities
        if (progress := read_progress(run.spark, run.lake, run.pipeline.name, name))
    }
    return made_with_notes(run.pipeline, made_with)


def tell(run: Run, judged: Mapping[str, Sequence[TableResult]]) -> list[dict[str, Any]]:
    """Warn of broken table rules; return how all of them fared."""
    every = [result for results in judged.values() for result in results]
    for result in every:
        if not result.is_ok:
            logger.warning("clean %s: %s", run.pipeline.name, result.line())
            run.progress({"event": "note", "text": result.line()})
    return [result.to_dict() for result in every]


def done(
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
