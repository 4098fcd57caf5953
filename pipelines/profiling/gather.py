"""Counts a table's values in few passes; types are tried by the casts of `clean`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.profiling.casts import suggested
from pipelines.profiling.counts import counted, same_columns, with_samples, with_values
from pipelines.profiling.facts import ColumnFacts, TableFacts
from pipelines.profiling.nested import leaf_paths, reading
from pipelines.profiling.trials import try_casts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def columns_of(rows: DataFrame, num_rows: int, headers: Mapping[str, str]) -> list[ColumnFacts]:
    """Return a table's columns but those that begin with `_`, nothing counted yet."""
    kinds = {field.name: field.dataType.simpleString() for field in rows.schema.fields}
    names = [name for name in rows.columns if not name.startswith("_")]
    return [ColumnFacts(name, headers.get(name, name), kinds[name], num_rows) for name in names]


def taken_apart(
    rows: DataFrame, columns: Sequence[ColumnFacts]
) -> tuple[DataFrame, list[ColumnFacts]]:
    """Add the values of objects that stand in a column as JSON, by dotted names."""
    from pyspark.sql import functions as F

    found: list[ColumnFacts] = []
    for one in with_samples(rows, columns):
        paths = leaf_paths(one.sample) if one.is_text else []
        found.append(replace(one, is_taken_apart=bool(paths), sample=()))
        for path in paths:
            name = ".".join((one.name, *path))
            sql = reading(one.name, path)
            rows = rows.withColumn(name, F.expr(sql))
            found.append(ColumnFacts(name, name, "string", one.rows, read_by=sql))
    return rows, found


def gather(rows: DataFrame, columns: Sequence[ColumnFacts], malformed: int = 0) -> TableFacts:
    """Count the values of a table's columns."""
    num_rows = columns[0].rows
    columns, signs = counted(rows, columns)
    columns = with_values(rows, columns)
    columns = with_samples(rows, columns)
    columns = _tried(rows, columns)
    distinct = rows.select(*[f"`{one.name}`" for one in columns if not one.is_nested]).distinct()
    return TableFacts(
        rows=num_rows,
        columns=tuple(columns),
        malformed=malformed,
        distinct_rows=distinct.count(),
        same=same_columns(rows, columns, signs),
    )


def _tried(rows: DataFrame, columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    casts = {
        # A value inside an object is cast by SQL, which knows no formats.
        one.name: [
            cast
            for cast in suggested(one.sample)
            if not one.read_by or not (cast.format or cast.derive)
        ]
        for one in columns
        if one.is_text and not one.is_taken_apart
    }
    return try_casts(rows, columns, casts)
