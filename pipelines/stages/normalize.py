"""`normalize`: fit the feature spec on the training split, write the training set."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

from pipelines.config import Pipeline
from pipelines.errors import SettingsError
from pipelines.features.census import Columns
from pipelines.features.fit import fit
from pipelines.features.layout import row_groups
from pipelines.features.spec import FORMAT_VERSION
from pipelines.features.store import READ_KEY, SPEC_KEY, named_spec, save_spec, spec_name
from pipelines.features.training_set import (
    check_columns,
    count_and_plan,
    in_files,
    training_rows,
    transform,
)
from pipelines.lake.read import latest_version, read_at, table_exists
from pipelines.lake.write import replace_slice
from pipelines.run import Run, StageResult, Stopwatch

logger = logging.getLogger(__name__)

_WRITER = 2
"""Raised when the same input and settings give other rows or files: what stands is made anew."""


def run(run: Run) -> StageResult:
    """Write `gold.<training_set>` and its feature spec, unless they stand already."""
    watch = Stopwatch()
    spark, lake, pipeline = run.spark, run.lake, run.pipeline
    settings, columns = pipeline.normalize, _columns(pipeline)
    source, target = f"gold.{pipeline.featurize.table}", f"gold.{settings.training_set}"

    def resolve() -> dict[str, int]:
        return {source: latest_version(spark, lake, source, f"featurize {pipeline.name}")}

    read = run.resolve("normalize", resolve)
    rows = read_at(spark, lake, source, read[source])
    check_columns(rows, columns)
    census, files, bits = count_and_plan(rows, columns, settings, source)
    name = spec_name(
        settings.training_set,
        {
            "read": read,
            "columns": asdict(columns),
            "settings": settings.model_dump(mode="json"),
            "format": [FORMAT_VERSION, _WRITER],
        },
    )
    version = _standing_version(run, target, name, census.num_labelled)
    is_new = version is None
    if version is None:
        spec = fit(
            training_rows(rows, columns, settings),
            settings.features,
            key=columns.key,
            date=columns.date,
            label=columns.label,
        )
        save_spec(spark, lake, pipeline.name, name, spec)
        laid_out = in_files(
            transform(rows, columns, settings, spec), columns, spec, files, bits
        ).withMetadata("_label", {SPEC_KEY: name, READ_KEY: json.dumps(read)})
        with row_groups(spark, settings.row_group_rows):
            version = replace_slice(
                laid_out,
                lake,
                target,
                "true",
                partition_by=["_split"],
                properties={"delta.dataSkippingStatsColumns": "_position"},
            )
    else:
        logger.info("%s stands at version %s: same input, same settings", target, version)
    result = StageResult(
        stage="normalize",
        pipeline=pipeline.name,
        run_id=run.run_id,
        read=read,
        written={target: version},
        counts=census.counts(),
        details={
            "feature_spec": lake.state(pipeline.name, "normalize", name),
            "is_new": is_new,
            "num_files": len(files),
        },
        seconds=watch.seconds,
    )
    logger.info(result.line())
    return result


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
    if not table_exists(run.spark, run.lake, target):
        return None
    version = latest_version(run.spark, run.lake, target)
    table = read_at(run.spark, run.lake, target, version)
    stands = named_spec(table.schema) == name and table.count() == num_rows
    return version if stands else None
