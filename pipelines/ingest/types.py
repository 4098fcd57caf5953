"""Parquet files bring their types along: they must be those of the table."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.drift import other_letters, tolerated, type_differences
from pipelines.ingest.files import LandingFile, literal
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType


def split_by_type(
    spark: SparkSession,
    found: Sorted,
    source: Source,
    stored: StructType | None,
    protected: Collection[str] = (),
) -> Sorted:
    """Set aside files whose column types don't go into the table's.

    A column that the table does not have yet gets the type of the first file by name. Columns in
    `protected` are text in the table, whatever they are in files.
    """
    expected = {one.name: one.dataType.simpleString() for one in stored or ()}
    wanted = set(source.columns)
    groups: dict[tuple[str, ...], list[LandingFile]] = {}
    rejected, drifted = dict(found.rejected), dict[LandingFile, str]()
    for header, files in sorted(found.groups.items(), key=lambda group: group[1][0]):
        schema = spark.read.parquet(literal(files[0].uri)).schema
        types = {one.name: one.dataType.simpleString() for one in schema}
        types |= {name: "string" for name in protected if name in types}
        said = tolerated(list(types), source)
        if source.schema_drift != "add":
            types = {name: kind for name, kind in types.items() if name in wanted}
        spelt = {name.lower(): name for name in (*source.columns, *expected)}
        reason = other_letters(types, spelt) or type_differences(types, expected, source)
        if reason:
            rejected.update(dict.fromkeys(files, reason))
        else:
            groups[header] = files
            drifted.update(dict.fromkeys(files, said) if said else {})
            wanted.update(types)
            expected = {**types, **expected}
    # A column that no file and no table has is of no known type: it is left for a later file.
    known = [name for name in (*source.columns, *sorted(wanted)) if name in expected]
    columns = {name: expected[name] for name in known if name in wanted}
    return Sorted(groups, rejected, columns, drifted)
