"""Stage `ingest`: landing files become bronze rows, each file once."""

from __future__ import annotations

import logging

from pipelines.errors import TooMuchAside
from pipelines.ingest.aside import aside_notes, too_much_aside
from pipelines.ingest.jdbc import ingest_tables
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.source import ingest_sources
from pipelines.ingest.tables import Tables
from pipelines.privacy.keys import check_keys
from pipelines.privacy.protect import Protection
from pipelines.run import Done, Run, resolve_place

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Read the files that landed since the last run into `bronze.<source>`.

    It follows progress, not the logical date: a second run with nothing new writes nothing. Its
    fault is TooMuchAside, where too many of a source's files or records were put aside.
    """
    pipeline = run.pipeline
    place = resolve_place(pipeline.root, pipeline.landing)
    check_keys(run.spark, run.lake, pipeline.name, pipeline.privacy.keys)
    found = {name: Protection.of(pipeline, name) for name in pipeline.ingest.sources}
    protections = {name: one for name, one in found.items() if one is not None}
    sources = pipeline.ingest.sources
    files = {name: one for name, one in sources.items() if one.jdbc is None}
    # Files first: all that may stop them is found before anything is written.
    outcomes = {}
    if files:
        outcomes = ingest_sources(run.spark, run.lake, pipeline.name, place, files, protections)
    outcomes |= ingest_tables(run.spark, run.lake, pipeline.name, sources)
    for name, outcome in outcomes.items():
        run.progress({"event": "note", "text": f"{name}: {describe(outcome)}"})
    drifted = {name: one.drifted for name, one in outcomes.items() if one.drifted}
    too_much = too_much_aside(run, outcomes)
    if too_much is None:
        for note in aside_notes(run, outcomes):
            logger.warning("ingest %s: %s", pipeline.name, note)
    return Done(
        date=run.date,
        written=_versions(run, outcomes),
        counts=counts(outcomes),
        details={
            "landing": place,
            "rejected_files": {n: o.rejected for n, o in outcomes.items() if o.rejected},
            **({"drifted_files": drifted} if drifted else {}),
        },
        fault=TooMuchAside(too_much) if too_much else None,
    )


def _versions(run: Run, outcomes: dict[str, Outcome]) -> dict[str, int]:
    """Return the versions of the sources' tables; untouched ones stand with theirs.

    Of a run that was killed after its last write, the next one has nothing left to write.
    """
    found: dict[str, int] = {}
    for name, outcome in outcomes.items():
        tables = Tables(name)
        every = (tables.rows, tables.rejected, tables.files)
        found |= {table: outcome.written[table] for table in every if table in outcome.written}
        found |= run.standing.versions(*(table for table in every if table not in found))
    return found


def counts(outcomes: dict[str, Outcome]) -> dict[str, int]:
    """Return the totals, and the figures of each source."""
    found = {
        "rows_in": sum(one.records for one in outcomes.values()),
        "rows_out": sum(one.rows for one in outcomes.values()),
        "malformed": sum(one.malformed for one in outcomes.values()),
    }
    for name, one in outcomes.items():
        found[f"{name}.files"] = one.files
        found[f"{name}.files_corrected"] = one.corrected
        found[f"{name}.files_rejected"] = len(one.rejected)
        found[f"{name}.rows"] = one.rows
        found[f"{name}.malformed"] = one.malformed
    return found


def describe(outcome: Outcome) -> str:
    """Say in few words what a source brought."""
    if not outcome.files and not outcome.corrected and not outcome.rows:
        return "nothing new"
    parts = [
        _counted(outcome.files, "new file"),
        _counted(outcome.rows, "row") or "0 rows",
        _counted(outcome.corrected, "file", " read again"),
        _counted(len(outcome.rejected), "file", " put aside"),
        _counted(len(outcome.drifted), "file", " of other columns"),
        _counted(outcome.malformed, "malformed record"),
    ]
    return ", ".join(filter(None, parts))


def _counted(number: int, what: str, more: str = "") -> str:
    return f"{number:,} {what}{'s' * (number != 1)}{more}" if number else ""
