"""Records of all other CSV files, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from pipelines.ingest.csv_fields import records
from pipelines.ingest.csv_reading import (
    COMMENT,
    RECORDS,
    WRONG_BYTES,
    Reading,
    batch_of,
    malformed_batch,
)
from pipelines.ingest.csv_text import read_texts

if TYPE_CHECKING:
    import pyarrow as pa


def read_irregular(reading: Reading) -> Iterator[pa.RecordBatch]:
    """Yield a file's records, and for each batch of them those that are malformed."""
    import pyarrow as pa

    layout = reading.layout
    plain = replace(reading.dialect.plain, cr_ends=layout.cr_ends)
    texts = read_texts(reading.uri, reading.dialect, reading.piece.start)
    found = records(texts, plain, layout.first_line)
    row = 0
    while part := list(islice(found, RECORDS)):
        columns: list[list[str | None]] = [[] for _ in reading.places]
        rows: list[int] = []
        bad: list[tuple[int, str, str]] = []
        for record, text in part:
            reason = _judge(record.fields, record.problem, text, reading)
            if reason:
                bad.append((row, reason, text))
            else:
                rows.append(row)
                for at, column in zip(reading.places, columns, strict=True):
                    value = record.fields[at] if at >= 0 else None
                    column.append(None if value is None else reading.dialect.restore(value))
            row += 1
        if rows:
            arrays = [pa.array(column, pa.string()) for column in columns]
            nothing = pa.nulls(len(rows), pa.string())
            yield batch_of(reading, arrays, pa.array(rows, pa.int64()), nothing, nothing)
        if bad:
            yield malformed_batch(reading, bad)


def _judge(fields: Sequence[str | None], problem: str, text: str, reading: Reading) -> str:
    comment = reading.dialect.comment
    if comment and text.startswith(comment):
        return COMMENT
    if problem:
        return problem
    if len(fields) != len(reading.layout.header):
        return reading.wrong_count
    return WRONG_BYTES if re.search("[\ud800-\udfff]", text) else ""
