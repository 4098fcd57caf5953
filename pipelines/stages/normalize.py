"""`normalize`: fit the feature spec on the training split, write the training set.

With `train.folds` it writes the folds beside it, each through a spec fitted on its own training
rows.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.config import Pipeline
from pipelines.encoding.spec import FORMAT_VERSION
from pipelines.errors import SettingsError
from pipelines.lake.read import latest_version
from pipelines.run import Done, Run, Versions
from pipelines.training_set.census import Columns, refuse_empty_splits
from pipelines.training_set.rows import (
    check_columns,
    check_images,
    count_and_plan,
    in_files,
    transform,
)
from pipelines.training_set.split import split_conditions
from pipelines.training_set.store import spec_name
from pipelines.training_set.write import TrainingSetWriter, write_folds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
    work = TrainingSetWriter(run, rows, columns, read, name)

    def make() -> DataFrame:
        spec = work.fit(conditions["train"], name)
        check_images(rows, columns, conditions, spec)
        return in_files(transform(rows, columns, conditions, spec), columns, spec, files, bits)

    version, is_new = work.stand_or_write(target, census.num_labelled, make)
    written, described = {target: version}, {}
    if pipeline.train.folds:
        table, fold_version, each = write_folds(work, pipeline.train.folds)
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


def _columns(pipeline: Pipeline) -> Columns:
    settings = pipeline.featurize
    if settings.label is None:
        raise SettingsError(
            "`normalize` writes rows with a label, and `featurize.label` names no column. Set it, "
            "or leave out `normalize` and `train`."
        )
    return Columns(settings.key, settings.date, settings.label)
