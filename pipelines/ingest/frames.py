"""Frames of landing files' records: declared columns, where each came from, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pyspark.sql import functions as F

from pipelines.ingest.files import LandingFile
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Observed: TypeAlias = "Callable[[DataFrame], DataFrame]"
# Rows of one task are numbered in the low bits, tasks in the high ones.
_ROW_BITS = 2**33 - 1


def row_position() -> Column:
    """Return where in its file a line stands: a number that grows from line to line.

    A file is read in blocks, and blocks of many files share a task. The number is the block's
    first byte plus the line's number in its task. A task reads no more bytes than a block may have,
    and a line has at least one, so the numbers of a block lie below those of the file's next.
    The order is the same however the file is cut; the numbers are no line numbers.
    """
    in_task = F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS))
    return F.input_file_block_start() + in_task


AS_NAMED = {"recursiveFileLookup": "true", "__globPaths__": "false"}
"""Options with which Spark's readers take paths for names, and not for patterns.

A pattern with its letters escaped would do for most, but Hadoop finds none whose name has a colon.
"""


def paths_of(files: Sequence[LandingFile]) -> list[str]:
    """Return the paths of files, as Spark's readers take them with `AS_NAMED`."""
    return [file.uri for file in files]


def columns_of(there: Sequence[str], found: Sorted) -> list[Column]:
    """Return the columns to read: of their types, null where the files have none of the name."""
    return [
        (F.col(f"`{name}`") if name in there else F.lit(None)).cast(kind).alias(name)
        for name, kind in found.columns.items()
    ]
