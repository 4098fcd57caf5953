"""`featurize`: raw feature values from silver, one row per key and date, known by `prediction_at`.

With a date it makes the rows of that day, or of the days from `since` on; without one, those of all
days found in the input. Where `featurize.sources` says how changes map to days, a run also makes
again what was made before and has changed since, and without a date only such days and new ones.
A day without rows is no error: the table then has none for it, and the result says so.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from pipelines.features.covered import add_covered
from pipelines.features.days import described
from pipelines.features.due import Due, Found, days_due
from pipelines.features.make import days_where, make_days
from pipelines.features.query import Tables
from pipelines.features.refresh import NOTE, MadeFrom
from pipelines.features.rows import RowCounts
from pipelines.fingerprint import features_hash
from pipelines.lake.catalog import Table
from pipelines.lake.changes import table_id
from pipelines.lake.notes import last_notes
from pipelines.lake.opened import OpenedLake
from pipelines.lake.read import latest_version, table_exists
from pipelines.run import Done, Run

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Write the features of the days to make to `gold.<table>`, in one commit.

    Raises TableNotFound where `clean` has not run, FeatureError where a query fails or its rows
    don't have one row per key and date, SchemaError where the table has other columns.
    """
    settings = run.pipeline.featurize
    target = run.tables.features
    resolved = run.resolve(Found, "featurize", lambda: _look(run, target))
    versions = dict(resolved.tables)
    now = MadeFrom(versions, resolved.ids, features_hash(run.pipeline))
    tables = _open(run, versions)
    due = days_due(run, target, tables, now, resolved)
    details = _say(run, due)
    note = now.to_dict()
    if resolved.after is not None:  # not so of runs that an older version began
        note["after"] = resolved.after
    counts, written, held = RowCounts(0, 0, 0), {}, 0
    if due.days:
        counts, judged, written[str(target)] = make_days(run, target, tables, due, note)
        if judged:
            details["table_rules"] = judged
        made = run.open(written).read(target)
        held = made.where(days_where(settings.date, due.days)).count()
        # `score` tells by it a day without rows from one that was never made.
        for days in due.days:
            made_in = table_id(run.spark, run.lake, target)
            add_covered(run.spark, run.lake, run.pipeline.name, made_in, days)
    else:
        written = run.standing.versions(target)
    if due.days and not counts.rows:
        said = " to ".join(details[end] for end in ("since", "until"))
        _note(run, details, f"no rows for {said}: {target} has none for these days")
    return Done(
        date=run.date,
        read=versions,
        written=written,
        counts={
            "rows_computed": counts.rows,
            "rows_out": held,
            "days": counts.days,
            "rows_without_label": counts.without_label,
        },
        details=details,
    )


def _look(run: Run, target: Table) -> Found:
    """Find the versions to read, and those that the table was made from so far."""
    spark, lake = run.spark, run.lake
    made_by = f"clean {run.pipeline.name}"
    reads = list(run.pipeline.featurize.reads)
    versions = {name: latest_version(spark, lake, name, made_by) for name in reads}
    found = Found(versions, {name: table_id(spark, lake, name) for name in reads}, after=-1)
    if not (run.pipeline.featurize.sources and table_exists(spark, lake, target)):
        return found
    found = replace(found, after=latest_version(spark, lake, target))
    notes, unknown = last_notes(spark, lake, target, NOTE)
    oldest = MadeFrom.oldest(notes) if notes else unknown
    if isinstance(oldest, MadeFrom):
        return replace(found, made_from=oldest.to_dict(), unknown=unknown)
    return replace(found, unknown=oldest)


def _open(run: Run, versions: dict[str, int]) -> Tables:
    """Open the tables in a session of their own: their views meet no others, days are UTC."""
    session = run.spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    opened = OpenedLake(session, run.lake, versions)
    return Tables({name: opened.read(name) for name in versions})


def _say(run: Run, due: Due) -> dict[str, Any]:
    """Return what the result's details say of the days due; tell of days that nobody asked for."""
    if not due.days:
        details: dict[str, Any] = {}
        _note(run, details, "nothing that the features are made from has changed", logging.INFO)
        return details
    details = {"since": str(due.days[0][0]), "until": str(due.days[-1][1])}
    if len(due.days) > 1:
        details["ranges"] = [[str(first), str(last)] for first, last in due.days]
    if due.why:
        _note(run, details, f"all days are made again: {due.why}")
    elif due.again:
        details["made_again"] = [[str(first), str(last)] for first, last in due.again]
        said = f"{described(due.again)} made again: their sources have changed"
        run.progress({"event": "note", "text": said})
        logger.info("featurize %s: %s", run.pipeline.name, said)
    return details


def _note(run: Run, details: dict[str, Any], text: str, level: int = logging.WARNING) -> None:
    details["note"] = f"{details['note']}; {text}" if "note" in details else text
    logger.log(level, "featurize %s: %s", run.pipeline.name, text)
    run.progress({"event": "note", "text": text})
