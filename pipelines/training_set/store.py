"""Where a training set's feature spec lies, and how its table says which one is its own.

The spec is written first, under a name that says what it was made from. The table carries that
name in its schema (metadata of the column `_label`), so it comes with the table's rows in one
commit, and any version, also a restored one, leads to its own spec.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipelines.encoding.spec import FeatureSpec
from pipelines.errors import FeatureError
from pipelines.lake import files
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import read_at
from pipelines.training_set.folds import fold_spec_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

SPEC_KEY = "tidemill.feature_spec"
READ_KEY = "tidemill.read"
"""Versions the training set was made from, as JSON."""
SPLIT_KEY = "tidemill.split"
"""Name of the column that a training set is partitioned by."""
_OLD_SPLIT = "_split"


def spec_name(training_set: str, made_from: dict[str, Any]) -> str:
    """Return the name of the spec of a training set made from these plain JSON values."""
    text = json.dumps(made_from, sort_keys=True, default=str)
    return f"{training_set}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def named_spec(schema: StructType) -> str | None:
    """Return the name of the spec that a training set's schema carries."""
    for field in schema.fields:
        if field.name == "_label":
            name = (field.metadata or {}).get(SPEC_KEY)
            return None if name is None else str(name)
    return None


def free_split_column(names: Iterable[str]) -> str:
    """Return what to call the column with a row's split, beside columns of these names.

    It is `split`, with underscores behind it while a column has that name already. It begins with
    none: pandas, pyarrow, DuckDB and Spark take folders that begin with `_` for hidden ones, and
    would read an empty table.
    """
    taken, name = {one.lower() for one in names}, "split"
    while name in taken:
        name += "_"
    return name


def split_column(schema: StructType) -> str:
    """Return the name of a training set's column with the split, which it is partitioned by.

    Training sets of older releases don't say it: there it is `_split`.
    """
    metadata = {field.name: field.metadata or {} for field in schema.fields}
    return str(metadata.get("_label", {}).get(SPLIT_KEY, _OLD_SPLIT))


def made_from(schema: StructType) -> dict[str, int]:
    """Return the table versions that a training set's schema says it was made from."""
    for field in schema.fields:
        if field.name == "_label" and READ_KEY in (field.metadata or {}):
            found: dict[str, int] = json.loads(field.metadata[READ_KEY])
            return found
    raise FeatureError(
        "the training set does not say which features it was made from; it is no table of this "
        "tidemill's `normalize`. Run `tidemill normalize` again."
    )


def save_spec(spark: SparkSession, lake: Lake, pipeline: str, name: str, spec: FeatureSpec) -> None:
    """Store a spec under its name."""
    files.write_text(spark, lake.state(pipeline, "normalize", name), spec.to_json())


def load_spec(
    spark: SparkSession, lake: Lake, pipeline: str, training_set: Table | str, version: int
) -> FeatureSpec:
    """Return the spec with which a training set was computed at a version.

    Raises FeatureError where the table is no training set or its spec is gone.
    """
    return _load(spark, lake, pipeline, training_set, version)


def load_fold_spec(
    spark: SparkSession, lake: Lake, pipeline: str, table: Table | str, version: int, fold: int
) -> FeatureSpec:
    """Return the spec of one fold (from 1) of a table of folds at a version."""
    return _load(spark, lake, pipeline, table, version, fold)


def _load(
    spark: SparkSession,
    lake: Lake,
    pipeline: str,
    table: Table | str,
    version: int,
    fold: int | None = None,
) -> FeatureSpec:
    name = named_spec(read_at(spark, lake, table, version).schema)
    if name is None:
        raise FeatureError(
            f"{table} at version {version} carries no feature spec: it was not written by "
            "`normalize`. Run `tidemill normalize` to write it."
        )
    place = lake.state(pipeline, "normalize", name if fold is None else fold_spec_name(name, fold))
    text = files.read_text(spark, place)
    if text is None:
        raise FeatureError(
            f"the feature spec of {table} at version {version} is gone: expected it at {place}. "
            "Run `tidemill normalize` again, or load the spec from a model's bundle."
        )
    return FeatureSpec.from_json(text)
