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
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import task_of
from pipelines.errors import ScoringError
from pipelines.features.covered import read_covered
from pipelines.features.days import Days, described, intersected
from pipelines.features.grain import by_feature_date, joined
from pipelines.lake.catalog import Table
from pipelines.lake.changes import table_id
from pipelines.lake.read import latest_version
from pipelines.lake.write import insert_new
from pipelines.run import Done, Resolved, Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle

logger = logging.getLogger(__name__)


def run(run: Run) -> Done:
    """Score the features of `run.since`..`run.date`; without a date, those of the newest day.

    Raises NoChampion without a promoted model, TableNotFound without features, and ScoringError
    where the features table is empty, or was never made for the dates asked for.
    """
    from pyspark.sql import functions as F

    from pipelines.registry.bundle import load_bundle
    from pipelines.scoring.batch import Provenance, predict, prediction_rows

    settings = run.pipeline
    date = settings.featurize.date
    source, target = run.tables.features, run.tables.predictions

    key, grain = settings.featurize.key, settings.featurize.grain
    resolved = run.resolve(_Resolved, "score", lambda: _look(run, source))
    opened = run.open({str(source): resolved.features})
    features = opened.read(source)
    first, last = _range(run, features, date, opened.named(source))
    wanted = features.where(F.col(date).between(F.lit(first), F.lit(last)))
    num_rows = wanted.count()
    details: dict[str, Any] = {
        "since": str(first),
        "model_name": settings.score.model,
        "model_version": resolved.model_version,
    }
    if num_rows == 0:
        _check_covered(run, features, opened.named(source), first, last)
        details["note"] = f"{source} has no rows for {first} to {last}: nothing to score"
        logger.warning("%s", details["note"])
        run.progress({"event": "note", "text": details["note"]})

    scored = _already_scored(run, target, resolved.model_version, first, last)
    missing = wanted if scored is None else joined(wanted, scored, grain, "left_anti")
    num_missing = num_rows if scored is None else missing.count()
    if num_missing:
        bundle = load_bundle(resolved.bundle)
        threshold = _threshold(run, bundle, details)
        provenance = Provenance(
            model_name=settings.score.model,
            model_version=resolved.model_version,
            feature_table_version=resolved.features,
            run_id=run.run_id,
            scored_at=dt.datetime.now(dt.UTC),
        )
        merged = insert_new(
            prediction_rows(
                predict(missing, bundle, grain, num_missing, settings.score.batch_size),
                key,
                date,
                threshold,
                provenance,
                task_of(bundle.manifest.get("settings", {}).get("loss", settings.train.loss)),
            ),
            run.lake,
            target,
            target.key,
            partition_by=target.partition_by,
            prune=f"target.scoring_date BETWEEN DATE'{first}' AND DATE'{last}'",
        )
        inserted, written = merged.inserted, {str(target): merged.version}
        _check_all_scored(run, target, wanted, resolved.model_version, first, last)
    else:
        inserted, written = 0, run.standing.versions(target)
    return Done(
        date=last,
        read=dict(opened.versions),
        written=written,
        counts={
            "rows_in": num_rows,
            "inserted": inserted,
            "unchanged": num_rows - inserted,
        },
        details=details,
    )


def _threshold(run: Run, bundle: Bundle, details: dict[str, Any]) -> float:
    """Return the probability of a yes by which the model was judged, or the setting's if unknown.

    A setting that says another one is told of: it takes effect with the next training.
    """
    asked = run.pipeline.score.decision_threshold
    kept = bundle.decision_threshold
    if kept is None or kept == asked:
        return asked
    text = (
        f"`score.decision_threshold` is {asked}; the model of run {bundle.run_id} was trained and "
        f"judged with {kept}, and says yes by that. Train again for {asked} to take effect"
    )
    details["note"] = f"{details['note']}; {text}" if "note" in details else text
    logger.warning("score %s: %s", run.pipeline.name, text)
    run.progress({"event": "note", "text": text})
    return kept


@dataclass(frozen=True)
class _Resolved(Resolved):
    """The version of the features, and the champion."""

    features: int
    model_version: int
    bundle: str


def _look(run: Run, source: Table) -> _Resolved:
    from pipelines.registry.champion import champion

    model = champion(run.lake, run.pipeline.score.model)
    features = latest_version(run.spark, run.lake, source, f"featurize {run.pipeline.name}")
    return _Resolved(features, model.version, model.bundle)


def _range(run: Run, features: DataFrame, date: str, source: str) -> tuple[dt.date, dt.date]:
    from pyspark.sql import functions as F

    last = run.date
    if last is None:
        row = features.select(F.max(date)).head()
        last = row[0] if row else None
    if last is None:
        raise ScoringError(f"{source} is empty: there is no date to score.")
    return run.since or last, last


def _check_covered(
    run: Run, features: DataFrame, source: str, first: dt.date, last: dt.date
) -> None:
    """Raise ScoringError unless features have been made for some of the days."""
    from pyspark.sql import functions as F

    date = run.pipeline.featurize.date
    ends = features.select(F.min(date), F.max(date)).head()
    held: list[Days] = [(ends[0], ends[1])] if ends and ends[0] else []
    # Where nothing is noted (a table of other hands), all between its ends counts as made.
    table = table_id(run.spark, run.lake, run.tables.features)
    covered = read_covered(run.spark, run.lake, run.pipeline.name, table) or held
    if held and intersected(covered, [(first, last)]):
        return
    asked = described([(first, last)])
    made = f"features were made for {described(covered)}" if held else "it is empty"
    raise ScoringError(
        f"{source} holds no rows for {asked}; {made}. Run `tidemill featurize` for that date, or "
        "give another --date."
    )


def _already_scored(
    run: Run, target: Table, model_version: int, first: dt.date, last: dt.date
) -> DataFrame | None:
    """Return key and date of what this model version has predicted, or None without a table."""
    from pyspark.sql import functions as F

    rows = run.standing.read(target)
    if rows is None:
        return None
    of_model = rows.where(
        F.col("scoring_date").between(F.lit(first), F.lit(last))
        & (F.col("model_version") == model_version)
    )
    settings = run.pipeline.featurize
    return by_feature_date(of_model, settings.date).select(*settings.grain)


def _check_all_scored(
    run: Run, target: Table, wanted: DataFrame, model_version: int, first: dt.date, last: dt.date
) -> None:
    """Hold the stage's equation: every feature row of the range has one prediction."""
    from pyspark.sql import functions as F

    scored = _already_scored(run, target, model_version, first, last)
    assert scored is not None  # it has just been written
    grain = run.pipeline.featurize.grain
    times = scored.groupBy(*grain).agg(F.count(F.lit(1)).alias("_times"))
    found = (
        joined(wanted.select(*grain), times, grain, "left")
        .agg(
            F.count_if(F.col("_times").isNull()), F.count_if(F.col("_times") > 1), F.count(F.lit(1))
        )
        .head()
    )
    assert found is not None  # an aggregate without groups is one row
    lost, doubled, num_rows = found
    if lost or doubled:
        raise ScoringError(
            f"of {num_rows} feature rows of {first} to {last}, {lost} have no prediction of model "
            f"version {model_version} in {target} and {doubled} have several; expected one each. "
            "Run `tidemill score` for these days again."
        )
