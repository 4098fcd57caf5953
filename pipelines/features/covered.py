"""The days that `featurize` has made: of a day without rows the table itself tells nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.lock import write_lock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Days = tuple[dt.date, dt.date]
_ONE = dt.timedelta(days=1)


def joined(ranges: Iterable[Days]) -> list[Days]:
    """Return ranges of days (both ends included) in order, those that touch as one."""
    found: list[Days] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + _ONE:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def read_covered(spark: SparkSession, lake: Lake, pipeline: str) -> list[Days]:
    """Return the days that `featurize` has made so far, as far as it wrote them down."""
    text = files.read_text(spark, _place(lake, pipeline))
    stored = json.loads(text)["days"] if text else []
    return [(dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for first, last in stored]


def add_covered(spark: SparkSession, lake: Lake, pipeline: str, days: Days) -> None:
    """Note that the features of these days have been made, with rows or without."""
    place = _place(lake, pipeline)
    with write_lock(place):
        before = read_covered(spark, lake, pipeline)
        after = joined([*before, days])
        if after != before:
            plain = [[f"{first}", f"{last}"] for first, last in after]
            files.write_text(spark, place, json.dumps({"days": plain}))


def _place(lake: Lake, pipeline: str) -> str:
    return lake.state(pipeline, "featurize", "days")
