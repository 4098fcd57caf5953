"""`score`: the champion's predictions for the feature rows of a date or a range of dates.

A prediction is a record of what was said: rows are inserted only, one per key, scoring date and
model version. A repeated run finds its rows there and changes nothing.

A day without rows is no error, here as in `featurize`: nothing is written, and the result says so
with a warning. An error it is where features of that day were never made.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.lake.merge import insert_new
from pipelines.lake.read import latest_version
from pipelines.run import Done, Resolved, Run
from pipelines.scoring.days import check_all_scored, wanted_rows, without_prediction
from pipelines.scoring.threshold import says_another, threshold_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.features.days import Days
    from pipelines.lake.merge import Merged
    from pipelines.registry.bundle import Bundle

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Score the features of `run.since`..`run.date`; without a date, those of the newest day.

    Raises NoChampion without a promoted model, TableNotFound without features, and ScoringError
    where the features table is empty, or was never made for the dates asked for.
    """
    from pipelines.registry.bundle import load_bundle

    source, target = run.tables.features, run.tables.predictions
    resolved = run.resolve(_Resolved, "score", lambda: _look(run))
    opened = run.open({str(source): resolved.features})
    wanted = wanted_rows(run, opened.read(source), opened.named(source))
    (first, last), notes = wanted.days, []
    if wanted.num_rows == 0:
        notes.append(f"{source} has no rows for {first} to {last}: nothing to score")
    missing, num_missing = without_prediction(run, wanted, resolved.model_version)
    if num_missing:
        bundle = load_bundle(resolved.bundle)
        merged = _insert(run, resolved, bundle, missing, num_missing, wanted.days)
        inserted, written = merged.inserted, {str(target): merged.version}
        check_all_scored(run, wanted, resolved.model_version)
        notes += says_another(run, bundle)
    else:
        inserted, written = 0, run.standing.versions(target)
    for text in notes:
        logger.warning("score %s: %s", run.pipeline.name, text)
        run.progress({"event": "note", "text": text})
    unchanged = wanted.num_rows - inserted
    return Done(
        date=last,
        read=opened.versions,
        written=written,
        counts={"rows_in": wanted.num_rows, "inserted": inserted, "unchanged": unchanged},
        details={
            "since": str(first),
            "model_name": run.pipeline.score.model,
            "model_version": resolved.model_version,
            **({"note": "; ".join(notes)} if notes else {}),
        },
    )


@dataclass(frozen=True)
class _Resolved(Resolved):
    """The version of the features, and the champion."""

    features: int
    model_version: int
    bundle: str


def _look(run: Run) -> _Resolved:
    from pipelines.registry.champion import champion

    model = champion(run.lake, run.pipeline.score.model)
    source, made_by = run.tables.features, f"featurize {run.pipeline.name}"
    features = latest_version(run.spark, run.lake, source, made_by)
    return _Resolved(features, model.version, model.bundle)


def _insert(
    run: Run, resolved: _Resolved, bundle: Bundle, missing: DataFrame, num_rows: int, days: Days
) -> Merged:
    """Predict for the rows, and insert what was said."""
    from pipelines.scoring.batch import Provenance, predict, prediction_rows

    settings, target = run.pipeline, run.tables.predictions
    provenance = Provenance(
        model_name=settings.score.model,
        model_version=resolved.model_version,
        feature_table_version=resolved.features,
        run_id=run.run_id,
        scored_at=dt.datetime.now(dt.UTC),
    )
    rows = prediction_rows(
        predict(
            missing,
            bundle,
            settings.featurize.grain,
            num_rows,
            settings.score.batch_size,
            settings.score.explain.top if settings.score.explain else None,
        ),
        settings.featurize.key,
        settings.featurize.date,
        threshold_of(run, bundle),
        provenance,
        bundle.task,
        bundle.class_names,
    )
    return insert_new(
        rows,
        run.lake,
        target,
        target.key,
        partition_by=target.partition_by,
        prune=f"target.scoring_date BETWEEN DATE'{days[0]}' AND DATE'{days[1]}'",
    )
