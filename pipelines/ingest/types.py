"""Parquet files bring their types along: they must be those of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.ingest.files import LandingFile, literal
from pipelines.ingest.records import Sorted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType


def split_by_type(
    spark: SparkSession, found: Sorted, source: Source, stored: StructType | None
) -> Sorted:
    """Set aside files whose column types differ from the table's.

    Where there is no table yet, the first file by name gives the types.
    """
    expected = stored
    groups: dict[tuple[str, ...], list[LandingFile]] = {}
    rejected = dict(found.rejected)
    for header, files in sorted(found.groups.items(), key=lambda group: group[1][0]):
        one = spark.read.parquet(literal(files[0].uri))
        schema = one.select(*(f"`{name}`" for name in source.columns)).schema
        expected = expected or schema
        reason = _differences(schema, expected)
        if reason:
            rejected.update(dict.fromkeys(files, reason))
        else:
            groups[header] = files
    return Sorted(groups, rejected)


def _differences(found: StructType, expected: StructType) -> str:
    types = {field.name: field.dataType.simpleString() for field in expected}
    different = [
        f"'{field.name}' is {field.dataType.simpleString()}, expected {types[field.name]}"
        for field in found
        if field.dataType.simpleString() != types[field.name]
    ]
    return f"types differ from the table's: {'; '.join(different)}" if different else ""
