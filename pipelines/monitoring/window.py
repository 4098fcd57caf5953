"""The days that `monitor` looks at, and their predictions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.errors import ScoringError
from pipelines.features.grain import by_feature_date, joined

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.features.days import Days
    from pipelines.lake.opened import OpenedLake
    from pipelines.run import Run


@dataclass(frozen=True)
class Window:
    """The first and the last of the days, all features, and the predictions of these days."""

    days: Days
    features: DataFrame
    predictions: DataFrame

    @classmethod
    def of(cls, run: Run, opened: OpenedLake) -> Window:
        """Return the days up to `run.date`; without a date, up to the newest day scored.

        Raises ScoringError where there are no predictions, or none of these days.
        """
        predictions = opened.read(run.tables.predictions)
        found = predictions.select(F.min("scoring_date"), F.max("scoring_date")).head()
        last = run.date or (found[1] if found else None)
        if last is None:
            raise ScoringError("there are no predictions to monitor; run `tidemill score` first.")
        first = run.since or last - dt.timedelta(days=run.pipeline.monitor.window_days - 1)
        of_days = predictions.where(F.col("scoring_date").between(F.lit(first), F.lit(last)))
        if of_days.isEmpty():
            covered = "there are none"
            if found and found[0]:
                covered = f"they cover {found[0]} to {found[1]}"
            raise ScoringError(
                f"no predictions for {first} to {last}; {covered}. Run `tidemill score` for those "
                "days, or give another --date."
            )
        return cls((first, last), opened.read(run.tables.features), of_days)

    def labelled(self, run: Run) -> DataFrame:
        """Return the predictions with their `label`; null where it has not arrived."""
        settings = run.pipeline.featurize
        label = F.col(settings.label) if settings.label else F.lit(None)
        of_days = F.col(settings.date).between(*map(F.lit, self.days))
        labels = self.features.where(of_days).select(
            *settings.grain, label.cast("double").alias("_label")
        )
        scored = by_feature_date(self.predictions, settings.date)
        found = joined(scored, labels, settings.grain, "left")
        return found.drop("label").withColumnRenamed("_label", "label")
