"""`featurize`: raw feature values from silver, one row per key and date, known by `prediction_at`.

Without a date it makes the whole table anew, for all days found in the input. With one it
replaces the rows of that day, or of the days from `since` on. A day without rows is no error:
the table then has none for it, and the result says so.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pipelines.errors import FeatureError
from pipelines.features.covered import add_covered
from pipelines.features.query import Span, SqlFile, Tables, run_function, run_sql
from pipelines.features.rows import check_columns, check_rows, check_same_columns
from pipelines.lake.catalog import Table
from pipelines.lake.read import latest_version, read_at, table_exists
from pipelines.lake.write import replace_slice
from pipelines.run import Run, StageResult, Stopwatch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)


def run(run: Run) -> StageResult:
    """Write the features of `run.since`..`run.date`, or of all days, to `gold.<table>`.

    Raises TableNotFound where `clean` has not run, FeatureError where a query fails or its rows
    don't have one row per key and date, SchemaError where the table has other columns.
    """
    watch = Stopwatch()
    settings = run.pipeline.featurize
    target = Table("gold", settings.table)
    versions = run.resolve("featurize", lambda: _look(run))["tables"]
    tables = _open(run, versions)
    span = _span(run, tables)
    files = [SqlFile.read(run.pipeline.folder, name) for name in settings.sql]
    with ExitStack() as keep:
        if settings.function:
            rows = run_function(settings.function, tables, span)
        else:
            rows = run_sql(files, tables, span, keep)
        check_columns(rows.schema, settings)
        _check_table(run, target, rows)
        # Rows of a day lie together, so that each day becomes one file. They are computed once,
        # for the check and for the write.
        laid_out = rows.repartition(settings.date).sortWithinPartitions(
            settings.date, *settings.key
        )
        keep.callback(laid_out.persist().unpersist)
        counts = check_rows(laid_out, settings, span)
        where = "true" if run.date is None else _between(settings.date, span)
        written = replace_slice(laid_out, run.lake, target, where, [settings.date])
    # `score` tells by it a day without rows from one that was never made.
    add_covered(run.spark, run.lake, run.pipeline.name, (span.since, span.until))
    details: dict[str, Any] = {"since": str(span.since), "until": str(span.until)}
    if not counts.rows:
        details["note"] = (
            f"no rows for {span.since} to {span.until}: {target} has none for these days"
        )
        logger.warning("%s", details["note"])
        run.progress({"event": "note", "text": details["note"]})
    result = StageResult(
        stage="featurize",
        pipeline=run.pipeline.name,
        run_id=run.run_id,
        date=str(run.date) if run.date else None,
        read=versions,
        written={str(target): written},
        counts={
            "rows_out": counts.rows,
            "days": counts.days,
            "rows_without_label": counts.without_label,
        },
        details=details,
        seconds=watch.seconds,
    )
    logger.info("%s", result.line())
    return result


def _look(run: Run) -> dict[str, Any]:
    """Find the versions to read."""
    made_by = f"clean {run.pipeline.name}"
    return {
        "tables": {
            name: latest_version(run.spark, run.lake, name, made_by)
            for name in run.pipeline.featurize.reads
        }
    }


def _open(run: Run, versions: dict[str, int]) -> Tables:
    """Open the tables in a session of their own: their views meet no others, days are UTC."""
    session = run.spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    reads = {name: read_at(session, run.lake, name, version) for name, version in versions.items()}
    return Tables(reads)


def _span(run: Run, tables: Tables) -> Span:
    timezone = run.pipeline.timezone
    if run.date is not None:
        return Span(run.since or run.date, run.date, timezone)
    date = run.pipeline.featurize.date
    with_date = {name: df for name, df in tables.items() if date in df.columns}
    if not with_date:
        raise FeatureError(
            f"without --date all days of the input are made, but no table of `featurize.reads` "
            f"has the column '{date}' ({sorted(tables)}). Give the days with --since and --date."
        )
    ends = [end for df in with_date.values() for end in _ends(df, date)]
    if not ends:
        raise FeatureError(
            f"{sorted(with_date)} hold no rows, so there are no days to make features of. Look "
            f"at what `tidemill clean {run.pipeline.name}` put aside."
        )
    return Span(min(ends), max(ends), timezone)


def _ends(df: DataFrame, date: str) -> list[dt.date]:
    from pyspark.sql import functions as F

    row = df.agg(F.min(date), F.max(date)).head()
    return [end for end in row or () if end is not None]


def _check_table(run: Run, target: Table, rows: DataFrame) -> None:
    if run.date is None or not table_exists(run.spark, run.lake, target):
        return
    version = latest_version(run.spark, run.lake, target)
    existing = read_at(run.spark, run.lake, target, version).schema
    command = f"tidemill featurize {run.pipeline.name}"
    check_same_columns(rows.schema, existing, str(target), command)


def _between(date: str, span: Span) -> str:
    # Delta can't compare BETWEEN with the rows it replaces: it looks at it unresolved.
    return f"`{date}` >= DATE'{span.since}' AND `{date}` <= DATE'{span.until}'"
