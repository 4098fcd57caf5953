"""Row counts and smallest positions, from the statistics that Delta's log keeps as JSON texts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

_LINES, _BYTES = 50_000, 64 << 20
"""Arrow's parser takes 100,000 lines at once, and 2 GB."""

Found = tuple[list[int | None], list[int | None]]


def statistics(texts: Sequence[str | None], position: str | None) -> Found:
    """Return each file's `numRecords` and the smallest value of the column `position`.

    None where a text doesn't say it, or can't be read: statistics are a help that may be missing.
    """
    counts: list[int | None] = []
    positions: list[int | None] = []
    for part in _parts(texts):
        some, smallest = _of_part(part, position)
        counts += some
        positions += smallest
    return counts, positions


def _parts(texts: Sequence[str | None]) -> Iterator[list[bytes]]:
    """Cut into lists that Arrow's parser takes; JSON has line ends between its tokens only."""
    part: list[bytes] = []
    size = 0
    for text in texts:
        line = (text or "").replace("\n", " ").replace("\r", " ").strip().encode()
        # Arrow's parser ends the process where all it finds is `null`.
        line = line if line.startswith(b"{") else b"{}"
        if part and (len(part) == _LINES or size + len(line) > _BYTES):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield part


def _of_part(lines: list[bytes], position: str | None) -> Found:
    """Let Arrow parse: with a million files Python's parser takes half a minute."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    content = b"\n".join(lines)
    smallest = pa.struct([] if position is None else [(position, pa.int64())])
    schema = pa.schema([("numRecords", pa.int64()), ("minValues", smallest)])
    options = arrow_json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="ignore", newlines_in_values=False
    )
    read = arrow_json.ReadOptions(block_size=len(content) + 1)
    try:
        table = arrow_json.read_json(io.BytesIO(content), read, options)
    except pa.ArrowInvalid:
        return _one_by_one(lines, position)
    counts = table["numRecords"].to_pylist()
    if len(counts) != len(lines):
        return _one_by_one(lines, position)
    if position is None:
        return counts, [None] * len(counts)
    least = table["minValues"].combine_chunks().to_pylist()
    return counts, [one[position] if one else None for one in least]


def _one_by_one(lines: list[bytes], position: str | None) -> Found:
    found = [_plain(line) for line in lines]
    counts = [_number(one.get("numRecords")) for one in found]
    least = [one.get("minValues") for one in found]
    return counts, [
        _number(one.get(position)) if isinstance(one, dict) and position else None for one in least
    ]


def _plain(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
