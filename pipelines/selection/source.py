"""What a training reads: the training set and its folds, at versions that a run looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.errors import EmptySplit, FeatureError
from pipelines.lake.read import latest_version
from pipelines.reasons.baseline import measured
from pipelines.run import Run, Versions
from pipelines.selection.trials import Data
from pipelines.training.labels import check_labels, class_counts, label_scale
from pipelines.training_set import folds
from pipelines.training_set.store import (
    load_fold_spec,
    load_spec,
    made_from,
    named_spec,
    split_column,
)

if TYPE_CHECKING:
    from pipelines.encoding.spec import FeatureSpec
    from pipelines.lake.catalog import Table
    from pipelines.lake.opened import OpenedLake
    from pipelines.lake.snapshot import Snapshot

SPLITS = ("train", "validation", "test")


def look(run: Run) -> Versions:
    """Return the versions of the training set, its folds, and the features it was made from."""
    table, command = run.tables.training_set, f"normalize {run.pipeline.name}"
    found = {str(table): latest_version(run.spark, run.lake, table, command)}
    schema = run.open(found).read(table).schema
    if run.pipeline.train.folds is not None:
        found |= _look_at_folds(run, str(named_spec(schema)), run.pipeline.train.folds)
    return Versions({**found, **made_from(schema)})


def _look_at_folds(run: Run, spec_name: str, num_folds: int) -> dict[str, int]:
    """Return the version of the folds, which must be those of this training set."""
    table = run.tables.folds
    command = f"normalize {run.pipeline.name} --set train.folds={num_folds}"
    found = {str(table): latest_version(run.spark, run.lake, table, command)}
    opened = run.open(found)
    if named_spec(opened.read(table).schema) != folds.folds_name(spec_name, num_folds):
        raise FeatureError(
            f"{table} at version {opened.version(table)} holds other folds: expected {num_folds}, "
            f"made from the same features and settings as {run.tables.training_set}. Run "
            f"`tidemill {command}`."
        )
    return found


def whole_data(run: Run, opened: OpenedLake) -> tuple[Data, FeatureSpec]:
    """Return the training set's three splits, and how its columns are computed.

    Raises EmptySplit, and SettingsError or FeatureError where the labels don't fit the loss.
    """
    table = run.tables.training_set
    snapshots = _snapshots(opened, table, SPLITS)
    spec = load_spec(run.spark, run.lake, run.pipeline.name, str(table), opened.version(table))
    rows = opened.read(table)
    check_labels(rows, run.pipeline.train)
    baseline = measured(rows.where(F.col(split_column(rows.schema)) == "train"), spec.inputs)
    return replace(_data(run, opened, table, snapshots, spec), baseline=baseline), spec


def fold_data(run: Run, opened: OpenedLake) -> list[Data]:
    """Return what each fold trains on and is judged by; nothing where none are asked for."""
    num_folds, split = run.pipeline.train.folds, run.pipeline.normalize.split
    if num_folds is None:
        return []
    table, name = run.tables.folds, run.pipeline.name
    version, found = opened.version(table), []
    for fold, what in enumerate(folds.describe_folds(split, num_folds), start=1):
        named = {"train": folds.train_split(fold), "validation": folds.validation_split(fold)}
        snapshots = _snapshots(opened, table, list(named.values()))
        spec = load_fold_spec(run.spark, run.lake, name, str(table), version, fold)
        by_split = {split: snapshots[of_fold] for split, of_fold in named.items()}
        found.append(_data(run, opened, table, by_split, spec, what, named["train"]))
    return found


def _data(
    run: Run,
    opened: OpenedLake,
    table: Table,
    snapshots: dict[str, Snapshot],
    spec: FeatureSpec,
    what: str = "",
    trained_on: str = "train",
) -> Data:
    settings, rows = run.pipeline.train, opened.read(table)
    trained = rows.where(F.col(split_column(rows.schema)) == trained_on)
    return Data(
        what,
        snapshots,
        spec.inputs,
        dict(opened.versions),
        # Counted where a weight depends on them.
        class_counts(trained) if settings.class_weights == "balanced" else {},
        run.pipeline.score.threshold,
        label_scale=label_scale(trained) if settings.scale_label else None,
    )


def _snapshots(opened: OpenedLake, table: Table, splits: Sequence[str]) -> dict[str, Snapshot]:
    column = split_column(opened.read(table).schema)
    found = {split: opened.snapshot(table, {column: split}) for split in splits}
    for split, snapshot in found.items():
        if snapshot.num_rows == 0:
            raise EmptySplit(
                f"{table} at version {opened.version(table)} has no rows in the split '{split}'. "
                "Give `normalize.split` ranges that hold labelled rows, then run `normalize`."
            )
    return found
