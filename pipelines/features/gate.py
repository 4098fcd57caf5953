"""The table rules of features, judged before the rows are written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.errors import QualityError
from pipelines.features.days import Days
from pipelines.features.rows import RowCounts
from pipelines.quality.table_rules import Outlook, end_of_day, judge_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.run import Run

logger = logging.getLogger(__name__)


def judge_features(
    run: Run,
    rows: DataFrame,
    counts: RowCounts,
    days: Sequence[Days],
    where: str,
    silver: Callable[[str], DataFrame],
) -> list[dict[str, Any]]:
    """Return how the table rules fare with the rows that are to replace those of `where`.

    Rows are counted by day: the least and the most `new_rows` of one of the `days` against those of
    the last day before them. A day without rows has none. Raises
    QualityError where a rule of severity `fail` is broken.
    """
    settings = run.pipeline.featurize
    if not settings.table_rules:
        return []
    target = run.tables.features
    there = run.standing.read(target, rows.sparkSession)

    def table() -> DataFrame:
        if there is None or where == "true":
            return rows
        return there.where(f"NOT ({where})").unionByName(rows, allowMissingColumns=True)

    before = None
    if there is not None:
        earlier = there.where(F.col(settings.date) < F.lit(days[0][0]))
        last_day = earlier.groupBy(settings.date).count().orderBy(F.desc(settings.date)).head()
        before = last_day["count"] if last_day else None
    by_day = {row[0]: row[1] for row in rows.groupBy(settings.date).count().collect()}
    num_days = sum((last - first).days + 1 for first, last in days)
    outlook = Outlook(
        name=str(target),
        new_rows=rows,
        table=table,
        num_new=counts.rows,
        num_before=before,
        least_and_most=(
            min(by_day.values()) if len(by_day) == num_days else 0,
            max(by_day.values(), default=0),
        ),
        is_delivery=True,
        num_table=lambda: None if there is None else there.count(),
        as_of=end_of_day(run.date, run.pipeline.timezone) if run.date else None,
        timezone=run.pipeline.timezone,
        referred=silver,
    )
    results = judge_table(settings.table_rules, outlook)
    broken = [result for result in results if not result.is_ok]
    refused = [result.line() for result in broken if result.severity == "fail"]
    if refused:
        raise QualityError(
            "\n".join(refused) + f"\nNothing was written to {target}. Mend what `clean` has put "
            "into silver, or change the rule or its severity under `featurize.table_rules` in "
            f"conf/{run.pipeline.name}/pipeline.yml; then run featurize again."
        )
    for result in broken:
        logger.warning("featurize %s: %s", run.pipeline.name, result.line())
        run.progress({"event": "note", "text": result.line()})
    return [result.to_dict() for result in results]
