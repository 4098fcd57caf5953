"""`monitor`: data quality, drift since training, performance where labels have arrived.

It looks at the `monitor.window_days` days up to the logical date (or at `since`..`date`), replaces
that logical date's rows in `monitoring.<model>_*`, and writes the report page.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipelines.config.losses import Task, task_of
from pipelines.config.normalize import DateSplit, HashSplit, Split
from pipelines.errors import BundleError, ScoringError, VersionNotFound
from pipelines.features.spec import FeatureSpec
from pipelines.lake import files
from pipelines.lake.catalog import Table
from pipelines.lake.read import latest_version, missing_files, read_at
from pipelines.lake.write import replace_slice
from pipelines.monitoring import drift as drifting
from pipelines.monitoring import performance as performing
from pipelines.monitoring import quality
from pipelines.monitoring.retrain import reasons_to_retrain
from pipelines.run import Run, StageResult, Stopwatch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.monitoring.drift import FeatureDrift
    from pipelines.monitoring.performance import Judged
    from pipelines.registry.bundle import Bundle

logger = logging.getLogger(__name__)

_WITHOUT_DRIFT = ("array", "sequence", "image")
_CHECK = (
    "logical_date DATE, table_name STRING, table_version BIGINT, check_name STRING, "
    "severity STRING, num_rows BIGINT, num_broken BIGINT, is_ok BOOLEAN, run_id STRING"
)
_DRIFT = (
    "logical_date DATE, feature STRING, psi DOUBLE, missing_before DOUBLE, missing_now DOUBLE, "
    "severity STRING, model_version INT, run_id STRING"
)
_PERFORMANCE = (
    "logical_date DATE, scoring_date DATE, num_rows BIGINT, num_labelled BIGINT, "
    "predicted_rate DOUBLE, observed_rate DOUBLE, roc_auc DOUBLE, log_loss DOUBLE, "
    "accuracy DOUBLE, mae DOUBLE, mse DOUBLE, model_version INT, run_id STRING"
)


def run(run: Run) -> StageResult:
    """Monitor the days up to `run.date`; without a date, up to the newest day scored.

    Raises TableNotFound without predictions, ScoringError without predictions in the window.
    """
    from pipelines.monitoring.report import Report
    from pipelines.registry.bundle import load_bundle

    watch = Stopwatch()
    settings = run.pipeline
    features_table = Table("gold", settings.featurize.table)
    predictions_table = Table("predictions", settings.score.model)
    resolved = run.resolve("monitor", lambda: _look(run, features_table, predictions_table))

    tables: dict[str, int] = resolved["tables"]
    bundle = load_bundle(resolved["bundle"])
    features = read_at(run.spark, run.lake, features_table, tables[str(features_table)])
    predictions = read_at(run.spark, run.lake, predictions_table, tables[str(predictions_table)])
    first, last = _window(run, predictions)

    loss = bundle.manifest.get("settings", {}).get("loss", settings.train.loss)
    judged = _performance(run, predictions, features, (first, last), task_of(loss))
    overall = judged.overall
    spec = FeatureSpec.from_json(bundle.feature_spec)
    drifts, without_drift = _drifts(run, bundle, spec, features, (first, last))
    left_out = [feature.name for feature in spec.features if feature.kind in _WITHOUT_DRIFT]
    checks = quality.checks(run, tables)
    task = task_of(loss)
    test = bundle.evaluation.get("metrics", {})
    retrain = reasons_to_retrain(drifts, overall, test, task, settings.monitor, without_drift)

    audit = {"run_id": run.run_id}
    of_model = {**audit, "model_version": resolved["model_version"]}
    rows = {
        "quality": (_CHECK, [{**asdict(check), "is_ok": check.is_ok, **audit} for check in checks]),
        "drift": (_DRIFT, [{**asdict(drift), **of_model} for drift in drifts]),
        "performance": (_PERFORMANCE, [{**asdict(day), **audit} for day in judged.all]),
    }
    tables_written = {name: Table("monitoring", f"{settings.score.model}_{name}") for name in rows}
    written = {
        str(table): _write(run, table, last, *rows[name]) for name, table in tables_written.items()
    }
    page = Report(
        pipeline=settings.name,
        description=settings.description,
        first=first,
        last=last,
        model_name=settings.score.model,
        model_version=resolved["model_version"],
        training_run=bundle.run_id,
        history=bundle.history,
        evaluation=bundle.evaluation,
        days=judged.in_use,
        overall=overall,
        drifts=drifts,
        without_drift=left_out,
        drift_left_out=without_drift,
        drift_settings=settings.monitor.drift,
        checks=checks,
        retrain=retrain,
        read=tables,
    )
    place = f"{run.lake.report(settings.name)}/{last}.html"
    files.write_text(run.spark, place, page.html())
    result = StageResult(
        stage="monitor",
        pipeline=settings.name,
        run_id=run.run_id,
        date=str(last),
        read=tables,
        written=written,
        counts={
            "rows_in": _of_days(predictions, (first, last)).count(),
            "predictions": overall.num_rows,
            "labelled": overall.num_labelled,
            "replaced": sum(day.num_rows for day in judged.all) - overall.num_rows,
            "unlabelled": sum(day.num_rows - day.num_labelled for day in judged.in_use),
            "features_drifted": sum(drift.severity == "fail" for drift in drifts),
            "checks_broken": sum(not check.is_ok for check in checks),
        },
        details={
            "since": str(first),
            "report": place,
            "retrain": retrain,
            "without_drift": left_out,
            **({"drift_left_out": without_drift} if without_drift else {}),
            "performance": {k: v for k, v in asdict(overall).items() if v is not None},
            "model_version": resolved["model_version"],
        },
        seconds=watch.seconds,
    )
    logger.info("%s", result.line())
    return result


def _look(run: Run, features: Table, predictions: Table) -> dict[str, Any]:
    from pipelines.registry.champion import champion

    model = champion(run.lake, run.pipeline.score.model)
    name = run.pipeline.name
    tables = {
        str(features): latest_version(run.spark, run.lake, features, f"featurize {name}"),
        str(predictions): latest_version(run.spark, run.lake, predictions, f"score {name}"),
        **quality.versions(run),
    }
    return {"tables": tables, "bundle": model.bundle, "model_version": model.version}


def trained_by(bundle: Bundle) -> DateSplit | HashSplit:
    """Return the split a model was trained by, whatever the settings say today."""
    from pydantic import TypeAdapter

    split = bundle.manifest.get("split")
    if split is None:
        raise BundleError(
            f"the bundle of run {bundle.run_id} does not say by which split it was trained, so its "
            "training rows can't be compared with today's. Train again."
        )
    found: DateSplit | HashSplit = TypeAdapter(Split).validate_python(split)
    return found


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
    task: Task,
) -> Judged:
    """Judge all predictions of the window, also those of a champion that was replaced since."""
    from pyspark.sql import functions as F

    settings = run.pipeline.featurize
    first, last = days
    scored = _of_days(predictions, days)
    label = F.col(settings.label) if settings.label else F.lit(None)
    labels = features.where(F.col(settings.date).between(F.lit(first), F.lit(last)))
    labels = labels.select(*settings.key, label.cast("double").alias("label"))
    joined = scored.join(labels, on=list(settings.key), how="left")
    return performing.performance(joined, run.pipeline.score.decision_threshold, task)


def _drifts(
    run: Run,
    bundle: Bundle,
    spec: FeatureSpec,
    features: DataFrame,
    days: tuple[dt.date, dt.date],
) -> tuple[list[FeatureDrift], str]:
    """Compare the raw features the model was fitted on with those of the window.

    Lists and images have no bins and are left out; the report names them. Where rows that it was
    fitted on are gone, there is nothing to compare with: then the text says so.
    """
    from pyspark.sql import functions as F

    settings = run.pipeline
    first, last = days
    kinds = {one.column: one.kind for one in spec.features if one.kind not in _WITHOUT_DRIFT}
    numeric = [name for name, kind in kinds.items() if kind in ("numeric", "cyclical")]
    categories = [name for name in kinds if name not in numeric]

    table = Table("gold", settings.featurize.table)
    if str(table) not in bundle.tables:
        raise BundleError(
            f"the bundle of run {bundle.run_id} names no version of {table}, so its training rows "
            "can't be compared with today's. Train again."
        )
    trained = _trained(run, table, bundle, spec)
    if trained is None:
        left_out = (
            f"drift is left out: rows of {table}@{bundle.tables[str(table)]} that the model of run "
            f"{bundle.run_id} was trained on were erased or vacuumed, so today's can't be compared "
            "with them. Train again (`tidemill normalize`, `train`, `promote`)"
        )
        logger.warning("monitor %s: %s", settings.name, left_out)
        run.progress({"event": "note", "text": left_out})
        return [], left_out
    date = F.col(settings.featurize.date)
    now = features.where(date.between(F.lit(first), F.lit(last)))

    limits = settings.monitor.drift
    binnings = drifting.fit_binnings(trained, numeric, categories, limits.bins)
    drifts = drifting.compare(
        drifting.count_bins(trained, binnings),
        drifting.count_bins(now, binnings),
        limits.warn,
        limits.fail,
        limits.exclude,
    )
    return drifts, ""


def _trained(run: Run, table: Table, bundle: Bundle, spec: FeatureSpec) -> DataFrame | None:
    """Return the features a model was trained on, or None where the lake has not all of them."""
    from pipelines.features.split import split_conditions

    in_training = split_conditions(trained_by(bundle), spec.key, spec.date)["train"]
    try:
        rows = read_at(run.spark, run.lake, table, bundle.tables[str(table)]).where(in_training)
    except VersionNotFound:
        return None
    return None if missing_files(rows, run.lake, table) else rows


def _write(
    run: Run, table: Table, last: dt.date, schema: str, rows: Sequence[dict[str, Any]]
) -> int:
    frame = run.spark.createDataFrame([{"logical_date": last, **row} for row in rows], schema)
    where = f"logical_date = DATE'{last}'"
    return replace_slice(frame, run.lake, table, where, partition_by=["logical_date"])
