"""Writing a training set and its folds: fitted, laid out, and only where none stands already."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.encoding.fit import fit
from pipelines.encoding.spec import FeatureSpec
from pipelines.lake.write import replace_slice
from pipelines.run import Run
from pipelines.training_set import folds
from pipelines.training_set.census import Columns
from pipelines.training_set.layout import row_groups
from pipelines.training_set.rows import (
    count_and_plan,
    in_files,
    training_rows,
    transform,
)
from pipelines.training_set.store import (
    READ_KEY,
    SPEC_KEY,
    SPLIT_KEY,
    free_split_column,
    named_spec,
    save_spec,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

_PROPERTIES = {
    "delta.dataSkippingStatsColumns": "_position",
    # Delta would write the split into the files too, and pyarrow can't merge it with the folder's.
    "delta.writePartitionColumnsToParquet": "false",
}


@dataclass(frozen=True)
class TrainingSetWriter:
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


def write_folds(work: TrainingSetWriter, num_folds: int) -> tuple[str, int, list[dict[str, Any]]]:
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


def _standing_version(run: Run, target: str, name: str, num_rows: int) -> int | None:
    """Return the version of a training set that was made from the very same and holds all rows."""
    version = run.standing.version(target)
    if version is None:
        return None
    table = run.open({target: version}).read(target)
    stands = named_spec(table.schema) == name and table.count() == num_rows
    return version if stands else None
