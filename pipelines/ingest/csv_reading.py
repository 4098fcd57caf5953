"""What is to be read of a CSV file, and the Arrow batches that its records become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.ingest.csv_census import Layout, Piece
from pipelines.ingest.dialect import Dialect

RECORDS = 10_000
"""Records of a batch that is made one by one."""
WRONG_BYTES = "bytes that are no text of the file's encoding"
COMMENT = "it begins as a comment, which only lines before the header may be"


@dataclass(frozen=True)
class Reading:
    """What is to be read of a file: where it lies, what its census found, which of its fields.

    `places` are positions of fields in the header, one for each wanted column; -1 where the file
    has none.
    """

    uri: str
    number: int
    dialect: Dialect
    layout: Layout
    piece: Piece
    places: Sequence[int]

    @property
    def wrong_count(self) -> str:
        """The reason of a record that has more or fewer fields than the header."""
        return f"the record does not have the {len(self.layout.header)} fields of the header"


def batch_of(reading: Reading, columns: list[Any], rows: Any, reason: Any, raw: Any) -> Any:
    """Make a batch: the wanted columns, and the number, row, reason and raw text of each."""
    import pyarrow as pa

    number = pa.array([reading.number], pa.int64()).take(pa.array([0] * len(rows), pa.int32()))
    arrays = [*columns, number, rows, reason, raw]
    return pa.RecordBatch.from_arrays(arrays, [str(place) for place in range(len(arrays))])


def malformed_batch(reading: Reading, found: list[tuple[int, str, str]]) -> Any:
    """Make a batch of malformed records: position, reason, raw text."""
    import pyarrow as pa

    columns = [pa.nulls(len(found), pa.string()) for _ in reading.places]
    rows, reasons, raw = zip(*found, strict=True)
    restored = [shown(reading.dialect.restore(text)) for text in raw]
    strings = [pa.array(texts, pa.string()) for texts in (reasons, restored)]
    return batch_of(reading, columns, pa.array(rows, pa.int64()), *strings)


def shown(text: str) -> str:
    """Return a text that can be kept: wrong bytes are shown as U+FFFD."""
    return re.sub("[\ud800-\udfff]+", "\ufffd", text)
