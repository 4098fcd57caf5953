"""The days that `featurize` has made: of a day without rows the table itself tells nothing."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

from pipelines.features.days import Days, joined
from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.lock import write_lock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_covered(spark: SparkSession, lake: Lake, pipeline: str, table: str) -> list[Days]:
    """Return the days that `featurize` has made so far, as far as it wrote them down.

    `table` is the id of the table they are in: those of one that was made anew since don't count.
    """
    without_it = "days that have features go on being known, those without rows are made again"
    stored = files.read_json(spark, _place(lake, pipeline), without_it) or {"days": []}
    if stored.get("table", table) != table:
        return []
    ends = stored["days"]
    return [(dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for first, last in ends]


def add_covered(spark: SparkSession, lake: Lake, pipeline: str, table: str, days: Days) -> None:
    """Note that the features of these days have been made, with rows or without."""
    place = _place(lake, pipeline)
    with write_lock(place):
        before = read_covered(spark, lake, pipeline, table)
        after = joined([*before, days])
        if after != before:
            plain = [[f"{first}", f"{last}"] for first, last in after]
            files.write_text(spark, place, json.dumps({"table": table, "days": plain}))


def _place(lake: Lake, pipeline: str) -> str:
    return lake.state(pipeline, "featurize", "days")
