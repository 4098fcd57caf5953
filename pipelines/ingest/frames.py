"""Frames of landing files' records: declared columns, where each came from, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from pipelines.config.ingest import Source
from pipelines.ingest.files import LandingFile, literal
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
    from pyspark.sql.types import StructType

Observed: TypeAlias = "Callable[[DataFrame], DataFrame]"
RAW = "_tidemill_raw"
"""The column in which a reader of text keeps a record that it can't take apart."""
_REPLACEMENT = "\ufffd"
# Rows of one task are numbered in the low bits, tasks in the high ones.
_ROW_BITS = 2**33 - 1


def row_position() -> Column:
    """Return where in its file a line stands: a number that grows from line to line.

    A file is read in blocks, and blocks of many files share a task. The number is the block's
    first byte plus the line's number in its task. A task reads no more bytes than a block may have,
    and a line has at least one, so the numbers of a block lie below those of the file's next.
    The order is the same however the file is cut; the numbers are no line numbers.
    """
    from pyspark.sql import functions as F

    in_task = F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS))
    return F.input_file_block_start() + in_task


def _text_schema(names: Sequence[str], *more: str) -> StructType:
    from pyspark.sql import types as T

    return T.StructType([T.StructField(name, T.StringType()) for name in [*names, *more]])


def paths_of(files: Sequence[LandingFile]) -> list[str]:
    """Return the paths of files, as Spark's readers take them."""
    return [literal(file.uri) for file in files]


def _has_wrong_bytes(texts: Sequence[Column]) -> Column:
    """Tell whether a byte that is no UTF-8 was replaced while decoding."""
    from pyspark.sql import functions as F

    found = [F.coalesce(text.contains(_REPLACEMENT), F.lit(False)) for text in texts]
    return reduce(lambda left, right: left | right, found)


def columns_of(there: Sequence[str], found: Sorted) -> list[Column]:
    """Return the columns to read: of their types, null where the files have none of the name."""
    from pyspark.sql import functions as F

    return [
        (F.col(f"`{name}`") if name in there else F.lit(None)).cast(kind).alias(name)
        for name, kind in found.columns.items()
    ]


def text_reader(spark: SparkSession, header: Sequence[str], source: Source) -> DataFrameReader:
    """Return a reader of text columns that keeps a record it can't take apart in `RAW`."""
    reader = spark.read.schema(_text_schema(header, RAW)).options(**source.options)
    return reader.options(
        mode="PERMISSIVE", columnNameOfCorruptRecord=RAW, recursiveFileLookup="true"
    )


def judged(
    lines: DataFrame, columns: Sequence[Column], there: Sequence[str], wrong_form: str, raw: Column
) -> DataFrame:
    """Add what is wrong with each record; `raw` is its text where the reader keeps none."""
    from pyspark.sql import functions as F

    texts = [F.col(f"`{name}`") for name in there]
    reason = F.when(F.col(RAW).isNotNull(), F.lit(wrong_form)).when(
        _has_wrong_bytes(texts), F.lit("bytes that are no text of the file's encoding")
    )
    return lines.select(
        *columns,
        # `_metadata` says the same, but has every row copied once more.
        F.input_file_name().alias("_link"),
        row_position().alias("_row"),
        reason.alias("_reason"),
        F.coalesce(F.col(RAW), raw).alias("_raw"),
    )
