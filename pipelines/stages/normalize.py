"""`normalize`: fit the feature spec on the training split, write the training set.

With `train.folds` it writes the folds beside it, each through a spec fitted on its own training
rows.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.config import Pipeline
from pipelines.encoding.fit import fit
from pipelines.encoding.spec import FORMAT_VERSION, FeatureSpec
from pipelines.errors import SettingsError
from pipelines.lake.read import latest_version
from pipelines.lake.write import replace_slice
from pipelines.run import Done, Run, Versions
from pipelines.training_set import folds
from pipelines.training_set.census import Columns, refuse_empty_splits
from pipelines.training_set.layout import row_groups
from pipelines.training_set.rows import (
    check_columns,
    check_images,
    count_and_plan,
    in_files,
    training_rows,
    transform,
)
from pipelines.training_set.split import split_conditions
from pipelines.training_set.store import (
    READ_KEY,
    SPEC_KEY,
    SPLIT_KEY,
    free_split_column,
    named_spec,
    save_spec,
    spec_name,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

_PROPERTIES = {
    "delta.dataSkippingStatsColumns": "_position",
    # Delta would write the split into the files too, and pyarrow can't merge it with the folder's.
    "delta.writePartitionColumnsToParquet": "false",
}
_WRITER = 4
"""Raised when the same input and settings give other rows or files: what stands is made anew."""


def run(run: Run) -> Done:
    """Write `gold.<training_set>`, its folds if asked for, and their specs, unless they stand."""
    spark, lake, pipeline = run.spark, run.lake, run.pipeline
    settings, columns = pipeline.normalize, _columns(pipeline)
    source, target = str(run.tables.features), str(run.tables.training_set)

    def look() -> Versions:
        return Versions({source: latest_version(spark, lake, source, f"featurize {pipeline.name}")})

    read = dict(run.resolve(Versions, "normalize", look).tables)
    rows = run.open(read).read(source)
    check_columns(rows, columns)
    conditions = split_conditions(settings.split, columns.key, columns.date)
    census, files, bits = count_and_plan(rows, columns, conditions, settings.file_rows)
    refuse_empty_splits(census, settings.split, source)
    name = spec_name(
        settings.training_set,
        {
            "read": read,
            "columns": asdict(columns),
            "settings": settings.model_dump(mode="json"),
            "format": [FORMAT_VERSION, _WRITER],
        },
    )
    work = _Work(run, rows, columns, read, name)

    def make() -> DataFrame:
        spec = work.fit(conditions["train"], name)
        check_images(rows, columns, conditions, spec)
        return in_files(transform(rows, columns, conditions, spec), columns, spec, files, bits)

    version, is_new = work.stand_or_write(target, census.num_labelled, make)
    written, described = {target: version}, {}
    if pipeline.train.folds:
        table, fold_version, each = _folds(work, pipeline.train.folds)
        written, described = {**written, table: fold_version}, {"folds": each}
    return Done(
        read=read,
        written=written,
        counts={
            **census.counts(),
            "rows_out": run.open(written).read(target).count(),
        },
        details={
            "feature_spec": lake.state(pipeline.name, "normalize", name),
            "is_new": is_new,
            "num_files": len(files),
            **described,
        },
    )


@dataclass(frozen=True)
class _Work:
    """What a training set and its folds have in common. `name` is that of the table's spec."""

    run: Run
    rows: DataFrame
    columns: Columns
    read: Mapping[str, int]
    name: str

    def fit(self, condition: str, name: str) -> FeatureSpec:
        """Fit a spec on the labelled rows that fulfil a condition, and store it under a name."""
        run, columns = self.run, self.columns
        spec = fit(
            training_rows(self.rows, columns, condition),
            run.pipeline.normalize.features,
            key=columns.key,
            date=columns.date,
            label=columns.label,
        )
        save_spec(run.spark, run.lake, run.pipeline.name, name, spec)
        return spec

    def stand_or_write(
        self, target: str, num_rows: int, make: Callable[[], DataFrame]
    ) -> tuple[int, bool]:
        """Return the version of `target` made from the very same, and whether it is new."""
        run = self.run
        version = _standing_version(run, target, self.name, num_rows)
        if version is not None:
            logger.info("%s stands at version %s: same input, same settings", target, version)
            return version, False
        rows = make()
        split = free_split_column(rows.columns)
        made_from = {SPEC_KEY: self.name, READ_KEY: json.dumps(self.read), SPLIT_KEY: split}
        laid_out = rows.withColumnRenamed("_split", split).withMetadata("_label", made_from)
        with row_groups(run.spark, run.pipeline.normalize.row_group_rows, laid_out.schema):
            version = replace_slice(
                laid_out,
                run.lake,
                target,
                "true",
                partition_by=[split],
                properties=_PROPERTIES,
            )
        return version, True


def _folds(work: _Work, num_folds: int) -> tuple[str, int, list[dict[str, Any]]]:
    """Write the folds' table; return its name, version, and what each fold is.

    Each fold's statistics are of its own training rows.
    """
    settings, rows, columns = work.run.pipeline.normalize, work.rows, work.columns
    conditions = folds.fold_conditions(settings.split, num_folds, columns.key, columns.date)
    described = folds.describe_folds(settings.split, num_folds)
    census, files, bits = count_and_plan(
        folds.copies(rows, conditions),
        columns,
        folds.copy_conditions(list(conditions)),
        settings.file_rows,
    )
    found = census.by_split
    folds.refuse_empty_folds(found, described)
    work = replace(work, name=folds.folds_name(work.name, num_folds))

    def make() -> DataFrame:
        parts = []
        for fold in range(1, num_folds + 1):
            train, validation = folds.train_split(fold), folds.validation_split(fold)
            spec = work.fit(conditions[train], folds.fold_spec_name(work.name, fold))
            own = {split: conditions[split] for split in (train, validation)}
            parts.append(transform(rows, columns, own, spec))
        every = functools.reduce(lambda one, other: one.unionByName(other), parts)
        return in_files(every, columns, spec, files, bits)

    table = str(work.run.tables.folds)
    version, _ = work.stand_or_write(table, census.num_labelled, make)
    each = [
        {
            "fold": fold,
            "what": what,
            "train_rows": found[folds.train_split(fold)],
            "validation_rows": found[folds.validation_split(fold)],
        }
        for fold, what in enumerate(described, start=1)
    ]
    return table, version, each


def _columns(pipeline: Pipeline) -> Columns:
    settings = pipeline.featurize
    if settings.label is None:
        raise SettingsError(
            "`normalize` writes rows with a label, and `featurize.label` names no column. Set it, "
            "or leave out `normalize` and `train`."
        )
    return Columns(settings.key, settings.date, settings.label)


def _standing_version(run: Run, target: str, name: str, num_rows: int) -> int | None:
    """Return the version of a training set that was made from the very same and holds all rows."""
    version = run.standing.version(target)
    if version is None:
        return None
    table = run.open({target: version}).read(target)
    stands = named_spec(table.schema) == name and table.count() == num_rows
    return version if stands else None
