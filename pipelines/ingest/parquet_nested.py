"""Lists and maps of Parquet files: whether Spark reads as many values as the footers count.

How long each list is stands between its values. Where that is damaged, readers make other lists
of the values without a word, and leave out what is left over at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.encoding.sql import quoted
from pipelines.ingest.files import LandingFile
from pipelines.ingest.parquet_records import open_parquet
from pipelines.ingest.unreadable import find_unreadable

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession
    from pyspark.sql.types import DataType

_ONE = "1L"


def find_miscounted(
    spark: SparkSession, files: Mapping[LandingFile, tuple[int, ...]], source: Source
) -> dict[LandingFile, str]:
    """Return the files of one schema in whose lists other numbers of values are read, and why.

    Those that turn out to be unreadable are among them.
    """
    there = list(files)
    try:
        schema = open_parquet(spark, there[:1], source).schema
    except Exception:  # whatever it is: who reads the schema for its types puts the files aside
        return {}
    leaves = [
        (field.name, expression)
        for field in schema.fields
        for expression in _leaves(field.dataType, quoted(field.name))
    ]
    wanted = {
        place: F.sum(F.expr(expression)).alias(f"leaf {place}")
        for place, (name, expression) in enumerate(leaves)
        if expression != _ONE and (name in source.columns or source.schema_drift == "add")
    }
    if not wanted or any(len(counts) != len(leaves) for counts in files.values()):
        return {}

    def count(some: Sequence[LandingFile]) -> list[Row]:
        by_link = F.col("_metadata.file_path").alias("link")
        return open_parquet(spark, some, source).groupBy(by_link).agg(*wanted.values()).collect()

    bad: dict[LandingFile, str] = {}
    try:
        counted = count(there)
    except Exception:
        bad = find_unreadable(there, count)
        if not bad:
            raise
        there = [file for file in there if file not in bad]
        counted = count(there) if there else []
    read = {row["link"]: row for row in counted}
    for file in there:
        row = next((read[link] for link in file.links if link in read), None)
        values = {place: 0 if row is None else int(row[f"leaf {place}"]) for place in wanted}
        wrong = [place for place in wanted if values[place] != files[file][place]]
        if wrong:
            bad[file] = (
                f"damaged: its footer counts {files[file][wrong[0]]:,} values of "
                f"'{leaves[wrong[0]][0]}', of which {values[wrong[0]]:,} are read"
            )
    return bad


def _leaves(kind: DataType, value: str, depth: int = 0) -> Iterator[str]:
    """Yield, leaf by leaf, how many values of a column's leaf belong to one row, as SQL."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(kind, StructType):
        for field in kind.fields:
            yield from _leaves(field.dataType, f"{value}.{quoted(field.name)}", depth)
    elif isinstance(kind, ArrayType):
        yield from _of_list(kind.elementType, value, depth)
    elif isinstance(kind, MapType):
        yield from _of_list(kind.keyType, f"map_keys({value})", depth)
        yield from _of_list(kind.valueType, f"map_values({value})", depth)
    else:
        yield _ONE


def _of_list(kind: DataType, value: str, depth: int) -> Iterator[str]:
    element = f"element_{depth}"
    for inner in _leaves(kind, element, depth + 1):
        if inner == _ONE:
            yield f"greatest(coalesce(array_size({value}), 0), 1)"
        else:
            total = f"aggregate({value}, 0L, (sum_{depth}, {element}) -> sum_{depth} + {inner})"
            yield f"if(coalesce(array_size({value}), 0) = 0, 1L, {total})"


def in_groups(
    groups: Mapping[tuple[str, ...], Sequence[LandingFile]],
    counted: Mapping[LandingFile, tuple[int, ...]],
) -> Iterator[dict[LandingFile, tuple[int, ...]]]:
    """Yield the files that have lists, those of one schema together."""
    for files in groups.values():
        if some := {file: counted[file] for file in files if counted.get(file)}:
            yield some
