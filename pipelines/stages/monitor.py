"""`monitor`: data quality, drift since training, performance where labels have arrived.

It looks at the `monitor.window_days` days up to the logical date (or at `since`..`date`), replaces
that logical date's rows in `monitoring.<model>_*`, and writes the report page.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import Task, task_of
from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import ScoringError
from pipelines.features.grain import by_feature_date, joined
from pipelines.lake import files
from pipelines.lake.catalog import Table
from pipelines.lake.read import latest_version
from pipelines.lake.write import replace_slice
from pipelines.monitoring import performance as performing
from pipelines.monitoring import quality
from pipelines.monitoring.retrain import reasons_to_retrain
from pipelines.monitoring.since_training import drift_since_training
from pipelines.registry.calibration import constant_guess, doubts
from pipelines.run import Done, Resolved, Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.monitoring.performance import Judged
    from pipelines.registry.bundle import Bundle

logger = logging.getLogger(__name__)

_CHECK = (
    "logical_date DATE, table_name STRING, table_version BIGINT, check_name STRING, "
    "severity STRING, num_rows BIGINT, num_broken BIGINT, is_ok BOOLEAN, run_id STRING"
)
_DRIFT = (
    "logical_date DATE, feature STRING, psi DOUBLE, missing_before DOUBLE, missing_now DOUBLE, "
    "severity STRING, psi_by_chance DOUBLE, rows_before BIGINT, rows_now BIGINT, moved STRING, "
    "share_before DOUBLE, share_now DOUBLE, model_version INT, run_id STRING"
)
_PERFORMANCE = (
    "logical_date DATE, scoring_date DATE, num_rows BIGINT, num_labelled BIGINT, "
    "predicted_rate DOUBLE, observed_rate DOUBLE, roc_auc DOUBLE, log_loss DOUBLE, "
    "accuracy DOUBLE, mae DOUBLE, mse DOUBLE, rate_error DOUBLE, calibration_error DOUBLE, "
    "calibration_by_chance DOUBLE, guess_loss DOUBLE, guess_error DOUBLE, label_deviation DOUBLE, "
    "model_version INT, run_id STRING"
)


def run(run: Run) -> Done:
    """Monitor the days up to `run.date`; without a date, up to the newest day scored.

    Raises TableNotFound without predictions, ScoringError without predictions in the window.
    """
    from pipelines.monitoring.report import Report
    from pipelines.registry.bundle import load_bundle

    settings = run.pipeline
    resolved = run.resolve(_Resolved, "monitor", lambda: _look(run))
    opened, tables = run.open(resolved.tables), dict(resolved.tables)
    bundle = load_bundle(resolved.bundle)
    features, predictions = opened.read(run.tables.features), opened.read(run.tables.predictions)
    first, last = _window(run, predictions)

    loss = bundle.manifest.get("settings", {}).get("loss", settings.train.loss)
    task = task_of(loss)
    judged = _performance(run, predictions, features, (first, last), bundle, task)
    overall = judged.overall
    spec = FeatureSpec.from_json(bundle.feature_spec)
    drifts = drift_since_training(run, bundle, spec, features, (first, last))
    left_out = [feature.name for feature in spec.features if feature.drift is None]
    checks = quality.checks(run, opened)
    test = bundle.evaluation.get("metrics", {})
    retrain = reasons_to_retrain(
        drifts.features, overall, test, task, settings.monitor, drifts.left_out
    )
    constant = bundle.evaluation.get("constant", {})
    retrain += [f"on its test split {one}" for one in doubts(test, constant, bundle.evaluation)]

    audit = {"run_id": run.run_id}
    of_model = {**audit, "model_version": resolved.model_version}
    found_wrong = [{**asdict(check), "is_ok": check.is_ok, **audit} for check in checks]
    written = {
        str(table): _write(run, table, last, schema, rows)
        for table, schema, rows in (
            (run.tables.quality, _CHECK, found_wrong),
            (run.tables.drift, _DRIFT, [{**asdict(one), **of_model} for one in drifts.features]),
            (run.tables.performance, _PERFORMANCE, [{**asdict(d), **audit} for d in judged.all]),
        )
    }
    page = Report(
        pipeline=settings.name,
        description=settings.description,
        first=first,
        last=last,
        model_name=settings.score.model,
        model_version=resolved.model_version,
        training_run=bundle.run_id,
        history=bundle.history,
        evaluation=bundle.evaluation,
        days=judged.in_use,
        overall=overall,
        drifts=drifts.features,
        without_drift=left_out,
        drift_left_out=drifts.left_out,
        drift_settings=settings.monitor.drift,
        checks=checks,
        retrain=retrain,
        read=tables,
    )
    place = f"{run.lake.report(settings.name)}/{last}.html"
    files.write_text(run.spark, place, page.html())
    return Done(
        date=last,
        read=tables,
        written=written,
        counts={
            "rows_in": _of_days(predictions, (first, last)).count(),
            "predictions": overall.num_rows,
            "labelled": overall.num_labelled,
            "replaced": sum(day.num_rows for day in judged.all) - overall.num_rows,
            "unlabelled": sum(day.num_rows - day.num_labelled for day in judged.in_use),
            "features_drifted": sum(one.severity == "fail" for one in drifts.features),
            **drifts.counts,
            "checks_broken": sum(not check.is_ok for check in checks),
        },
        details={
            "since": str(first),
            "report": place,
            "retrain": retrain,
            "without_drift": left_out,
            **({"drift_left_out": drifts.left_out} if drifts.left_out else {}),
            "performance": {k: v for k, v in asdict(overall).items() if v is not None},
            "model_version": resolved.model_version,
        },
    )


@dataclass(frozen=True)
class _Resolved(Resolved):
    """The versions of the tables to look at, and the champion."""

    tables: Mapping[str, int]
    bundle: str
    model_version: int


def _look(run: Run) -> _Resolved:
    from pipelines.registry.champion import champion

    model = champion(run.lake, run.pipeline.score.model)
    name, features, predictions = run.pipeline.name, run.tables.features, run.tables.predictions
    tables = {
        str(features): latest_version(run.spark, run.lake, features, f"featurize {name}"),
        str(predictions): latest_version(run.spark, run.lake, predictions, f"score {name}"),
        **quality.look(run),
    }
    return _Resolved(tables, model.bundle, model.version)


def _window(run: Run, predictions: DataFrame) -> tuple[dt.date, dt.date]:
    from pyspark.sql import functions as F

    found = predictions.select(F.min("scoring_date"), F.max("scoring_date")).head()
    last = run.date or (found[1] if found else None)
    if last is None:
        raise ScoringError("there are no predictions to monitor; run `tidemill score` first.")
    first = run.since or last - dt.timedelta(days=run.pipeline.monitor.window_days - 1)
    if _of_days(predictions, (first, last)).isEmpty():
        covered = f"they cover {found[0]} to {found[1]}" if found and found[0] else "there are none"
        raise ScoringError(
            f"no predictions for {first} to {last}; {covered}. Run `tidemill score` for those "
            "days, or give another --date."
        )
    return first, last


def _of_days(predictions: DataFrame, days: tuple[dt.date, dt.date]) -> DataFrame:
    from pyspark.sql import functions as F

    return predictions.where(F.col("scoring_date").between(*map(F.lit, days)))


def _performance(
    run: Run,
    predictions: DataFrame,
    features: DataFrame,
    days: tuple[dt.date, dt.date],
    bundle: Bundle,
    task: Task,
) -> Judged:
    """Judge all predictions of the window, also those of a champion that was replaced since."""
    from pyspark.sql import functions as F

    settings = run.pipeline.featurize
    first, last = days
    scored = _of_days(predictions, days)
    label = F.col(settings.label) if settings.label else F.lit(None)
    labels = features.where(F.col(settings.date).between(F.lit(first), F.lit(last)))
    labels = labels.select(*settings.grain, label.cast("double").alias("_label"))
    labelled = joined(by_feature_date(scored, settings.date), labels, settings.grain, "left")
    labelled = labelled.drop("label").withColumnRenamed("_label", "label")
    threshold = bundle.decision_threshold or run.pipeline.score.decision_threshold
    guess = constant_guess(bundle.evaluation, task)
    return performing.performance(labelled, threshold, task, guess)


def _write(
    run: Run, table: Table, last: dt.date, schema: str, rows: Sequence[dict[str, Any]]
) -> int:
    frame = run.spark.createDataFrame([{"logical_date": last, **row} for row in rows], schema)
    where = f"logical_date = DATE'{last}'"
    return replace_slice(frame, run.lake, table, where, table.partition_by)
