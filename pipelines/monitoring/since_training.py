"""Drift of raw features: the rows a model was trained on against those of some days."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.normalize import DateSplit, HashSplit, Split
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.to_sql import check_raw_columns
from pipelines.errors import BundleError, FeatureError, VersionNotFound
from pipelines.lake.catalog import Table
from pipelines.lake.read import missing_files, read_at
from pipelines.monitoring.bins import Counts, check_counts, count_bins, fit_binnings
from pipelines.monitoring.drift import FeatureDrift, compare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle
    from pipelines.run import Run

logger = logging.getLogger(__name__)

_RETRAIN = "Train again (`tidemill normalize`, `train`, `promote`)"


@dataclass(frozen=True)
class Drifts:
    """Each feature's drift, or in `left_out` why it can't be measured.

    `num_rows` are the rows of both sides, once for each feature; `num_binned` those in its bins.
    """

    features: list[FeatureDrift] = field(default_factory=list)
    left_out: str = ""
    num_rows: int = 0
    num_binned: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """What a result says of them: every row is in one bin of every feature."""
        if self.left_out:
            return {}
        return {"drift_rows": self.num_rows, "drift_binned": self.num_binned}


def drift_since_training(
    run: Run,
    bundle: Bundle,
    spec: FeatureSpec,
    features: DataFrame,
    days: tuple[dt.date, dt.date],
) -> Drifts:
    """Compare the raw features a model was fitted on with those of the days.

    Lists and images have no bins and are left out; the report names them. Where rows that it was
    fitted on are gone, or a column's type has moved, there is nothing to compare with: then the
    text says so. Raises LakeError where a row is in no bin, or in several.
    """
    settings = run.pipeline
    table = run.tables.features
    if str(table) not in bundle.tables:
        raise BundleError(
            f"the bundle of run {bundle.run_id} names no version of {table}, so its training rows "
            "can't be compared with today's. Train again."
        )
    version = bundle.tables[str(table)]
    trained = _trained(run, table, bundle, spec)
    if trained is None:
        return _left_out(
            run,
            f"rows of {table}@{version} that the model of run {bundle.run_id} was trained on were "
            f"erased or vacuumed, so today's can't be compared with them. {_RETRAIN}",
        )
    try:
        check_raw_columns(spec, features.schema)
    except FeatureError as error:
        return _left_out(run, str(error))
    date = F.col(settings.featurize.date)
    now = features.where(date.between(F.lit(days[0]), F.lit(days[1])))
    sides = {f"the training split in {table}@{version}": trained, f"{table} of these days": now}
    num_rows = {where: rows.count() for where, rows in sides.items()}
    for where, found in num_rows.items():
        if not found:
            return _left_out(run, f"{where} holds no rows")
    return _compared(run, spec, sides, num_rows)


def _compared(
    run: Run,
    spec: FeatureSpec,
    sides: Mapping[str, DataFrame],
    num_rows: Mapping[str, int],
) -> Drifts:
    limits = run.pipeline.monitor.drift
    kinds = {one.column: one.drift for one in spec.features if one.drift is not None}
    numeric = [name for name, kind in kinds.items() if kind == "number"]
    categories = [name for name in kinds if name not in numeric]
    binnings = fit_binnings(next(iter(sides.values())), numeric, categories, limits.bins)
    found: list[Mapping[str, Counts]] = []
    for where, rows in sides.items():
        found.append(count_bins(rows, binnings))
        check_counts(found[-1], num_rows[where], where)
    before, now = found
    names = {one.name: one.column for one in spec.features}
    return Drifts(
        features=compare(
            binnings,
            before,
            now,
            (limits.warn, limits.fail),
            [names.get(name, name) for name in limits.exclude],
        ),
        num_rows=sum(num_rows.values()) * len(binnings),
        num_binned=sum(sum(counts) for side in found for counts in side.values()),
    )


def _left_out(run: Run, why: str) -> Drifts:
    text = f"drift is left out: {why}"
    logger.warning("monitor %s: %s", run.pipeline.name, text)
    run.progress({"event": "note", "text": text})
    return Drifts(left_out=text)


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


def _trained(run: Run, table: Table, bundle: Bundle, spec: FeatureSpec) -> DataFrame | None:
    """Return the features a model was trained on, or None where the lake has not all of them."""
    from pipelines.training_set.split import split_conditions

    in_training = split_conditions(trained_by(bundle), spec.key, spec.date)["train"]
    try:
        rows = read_at(run.spark, run.lake, table, bundle.tables[str(table)]).where(in_training)
    except VersionNotFound:
        return None
    return None if missing_files(rows, run.lake, table) else rows
