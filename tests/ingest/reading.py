"""Reads CSV content as ingest's workers do, without Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pipelines.ingest.csv_batches import read_batches
from pipelines.ingest.csv_census import Layout, take_census
from pipelines.ingest.csv_reading import Reading
from pipelines.ingest.dialect import Dialect


class Found(NamedTuple):
    """What a file's reader gave: values of good records, and (reason, raw) of the others."""

    layout: Layout
    good: list[tuple[str | None, ...]]
    malformed: list[tuple[str, str]]


def read(file: Path, content: bytes, **options: str) -> Found:
    """Write a file and read it; raises BadFile where it would be put aside."""
    file.write_bytes(content)
    uri, dialect = f"file:{file}", Dialect.of(options)
    layout = take_census(uri, dialect)
    places = tuple(range(len(layout.header)))
    rows: list[tuple[Any, ...]] = []
    for piece in layout.pieces:
        for batch in read_batches(Reading(uri, 0, dialect, layout, piece, places)):
            rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    rows.sort(key=lambda row: row[-3])
    assert [row[-3] for row in rows] == list(range(len(rows)))
    good = [row[:-4] for row in rows if row[-2] is None]
    return Found(layout, good, [row[-2:] for row in rows if row[-2] is not None])
