"""A features table's rows on their way into a training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.encoding.images import EXPECTED, is_image_sql
from pipelines.encoding.raw import NUMBER_TYPES, base_type
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.sql import quoted
from pipelines.encoding.to_sql import to_sql
from pipelines.errors import FeatureError, nearest
from pipelines.training_set.census import Census, Columns, has_label, take_census
from pipelines.training_set.layout import SMALLEST_BITS, FilePlan, lay_out, more_bits, plan_files
from pipelines.training_set.split import split_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def check_columns(rows: DataFrame, columns: Columns) -> None:
    """Refuse a features table that lacks key, date or label, or whose label is no number."""
    found = {field.name: field.dataType.simpleString() for field in rows.schema.fields}
    for name in (*columns.key, columns.date, columns.label):
        if name not in found:
            raise FeatureError(
                f"the features table has no column '{name}', which `featurize` names as key, date "
                f"or label.{nearest(name, list(found))}"
            )
    if base_type(found[columns.label]) not in NUMBER_TYPES:
        raise FeatureError(
            f"the label '{columns.label}' is of type {found[columns.label]}; expected a number or "
            "a boolean. Turn it into one in `featurize`."
        )


def count_and_plan(
    rows: DataFrame, columns: Columns, conditions: Mapping[str, str], file_rows: int
) -> tuple[Census, list[FilePlan], int]:
    """Count the rows, and cut the splits into files by hash buckets of the bits returned.

    `conditions` are those of the splits, of which a row fulfils one at most.
    """
    bits = SMALLEST_BITS
    while True:
        census = take_census(rows, columns, conditions, bits)
        files = plan_files(census.buckets, bits, file_rows)
        if files is not None:
            return census, files, bits
        bits = more_bits(bits, file_rows)


def training_rows(rows: DataFrame, columns: Columns, condition: str) -> DataFrame:
    """Return the rows features are fitted on: those of a training split with a label."""
    return rows.where(f"({condition}) AND {has_label(columns.label)}")


def transform(
    rows: DataFrame, columns: Columns, conditions: Mapping[str, str], spec: FeatureSpec
) -> DataFrame:
    """Return the training set's rows: `_split`, key, date, `_label` (float), the spec's inputs.

    A key or date column of the same name as an input is called `_key_<name>`. In the table `_split`
    is called as `store.free_split_column` says.
    """
    names = _kept_names(columns, spec)
    return (
        rows.where(has_label(columns.label))
        .selectExpr(
            f"{split_name(conditions)} AS _split",
            *(f"{quoted(name)} AS {quoted(kept)}" for name, kept in names.items()),
            f"CAST({quoted(columns.label)} AS FLOAT) AS _label",
            *to_sql(spec),
        )
        .where("_split IS NOT NULL")
    )


def check_images(
    rows: DataFrame, columns: Columns, conditions: Mapping[str, str], spec: FeatureSpec
) -> None:
    """Refuse rows of a training set whose image is null, or begins unlike a PNG or JPEG file.

    It looks at the first bytes; a file that breaks off later is found where it is decoded.
    """
    for feature in spec.features:
        if feature.kind != "image":
            continue
        file = quoted(feature.column)
        key = ", ".join(quoted(name) for name in columns.grain)
        bad = rows.where(f"({has_label(columns.label)}) AND ({split_name(conditions)}) IS NOT NULL")
        found = (
            bad.where(f"NOT {is_image_sql(file)}")
            .selectExpr(
                "count(1) AS num_bad",
                f"count_if({file} IS NULL) AS num_null",
                f"to_json(min(struct({key}))) AS first",
            )
            .head()
        )
        if found and found["num_bad"]:
            raise FeatureError(
                f"feature '{feature.name}': column '{feature.column}' holds no image in "
                f"{found['num_bad']:,} rows of the training set ({found['num_null']:,} of them "
                f"null), the first with the key {found['first']}; expected {EXPECTED}. Mend them "
                "at their source, or leave the rows out in `featurize`."
            )


def in_files(
    transformed: DataFrame,
    columns: Columns,
    spec: FeatureSpec,
    files: Sequence[FilePlan],
    bits: int,
) -> DataFrame:
    """Add `_position` and lay the rows out as planned; see `training_set.layout`."""
    names: Mapping[str, str] = _kept_names(columns, spec)
    return lay_out(transformed, files, [names[name] for name in columns.grain], bits)


def _kept_names(columns: Columns, spec: FeatureSpec) -> dict[str, str]:
    inputs = {each.name.lower() for each in spec.inputs}
    return {name: f"_key_{name}" if name.lower() in inputs else name for name in columns.grain}
