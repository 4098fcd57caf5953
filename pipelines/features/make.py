"""Making the features of some days: computed, checked, judged, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import reduce
from typing import TYPE_CHECKING, Any

from pipelines.features.days import Days
from pipelines.features.due import Due
from pipelines.features.gate import judge_features
from pipelines.features.query import Span, SqlFile, Tables, run_function, run_sql
from pipelines.features.refresh import NOTE
from pipelines.features.rows import RowCounts, check_columns, check_rows, check_same_columns
from pipelines.lake.catalog import Table
from pipelines.lake.write import replace_slice
from pipelines.run import Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_days(
    run: Run, target: Table, tables: Tables, due: Due, made_from: Mapping[str, Any]
) -> tuple[RowCounts, list[dict[str, Any]], int]:
    """Compute, judge and write the rows of the days.

    Returns the counts, how the table rules fared, and the table's version.
    """
    settings = run.pipeline.featurize
    spans = [Span(first, last, run.pipeline.timezone) for first, last in due.days]
    with ExitStack() as keep:
        rows = _rows(run, tables, spans, keep)
        check_columns(rows.schema, settings)
        if not due.is_whole:
            _check_table(run, target, rows)
        # Rows of a day lie together, so that each day becomes one file. They are computed once,
        # for the check and for the write.
        laid_out = rows.repartition(settings.date).sortWithinPartitions(
            settings.date, *settings.key
        )
        keep.callback(laid_out.persist().unpersist)
        counts = check_rows(laid_out, settings, *spans)
        where = "true" if due.is_whole else days_where(settings.date, due.days)
        # Of a run that makes only the days asked for, other days may be older than it.
        is_current = due.is_whole or bool(settings.sources)
        note = {NOTE: made_from} if is_current else None
        judged = judge_features(run, laid_out, counts, due.days, where, tables.__getitem__)
        version = replace_slice(laid_out, run.lake, target, where, target.partition_by, note=note)
        return counts, judged, version


def _rows(run: Run, tables: Tables, spans: Sequence[Span], keep: ExitStack) -> DataFrame:
    settings = run.pipeline.featurize
    if settings.function:
        name = settings.function
        parts = [run_function(name, tables, span) for span in spans]
    else:
        files = [SqlFile.read(run.pipeline.folder, name) for name in settings.sql]
        parts = [run_sql(files, tables, span, keep) for span in spans]
    return reduce(lambda left, right: left.unionByName(right), parts)


def _check_table(run: Run, target: Table, rows: DataFrame) -> None:
    existing = run.standing.read(target)
    if existing is not None:
        command = f"tidemill featurize {run.pipeline.name}"
        check_same_columns(rows.schema, existing.schema, str(target), command)


def days_where(date: str, ranges: Sequence[Days]) -> str:
    """Return the condition that a row is of one of the days, as `replace_slice` takes it."""
    # Delta can't compare BETWEEN with the rows it replaces: it looks at it unresolved.
    return " OR ".join(
        f"(`{date}` >= DATE'{first}' AND `{date}` <= DATE'{last}')" for first, last in ranges
    )
