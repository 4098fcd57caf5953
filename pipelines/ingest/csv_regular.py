"""Records of a CSV file whose quotes were proven to be right, by Arrow's reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.ingest.csv_reading import (
    COMMENT,
    RECORDS,
    WRONG_BYTES,
    Reading,
    batch_of,
    malformed_batch,
    shown,
)
from pipelines.ingest.csv_text import read_plain
from pipelines.ingest.dialect import Dialect

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 4 * 2**20


def _blocks(reading: Reading) -> Iterator[bytes]:
    """Yield a piece's text in blocks of whole records.

    Arrow gets them from memory: its own threads would call Python for a file's bytes, and abort a
    process that ends meanwhile.
    """
    quote, cr_ends = reading.dialect.plain.quote.encode(), reading.layout.cr_ends
    left, known = reading.piece.length, b""
    for chunk in read_plain(reading.uri, reading.dialect, reading.piece.start):
        known += chunk if left is None else chunk[:left]
        left = None if left is None else max(0, left - len(chunk))
        if left == 0:
            break
        if len(known) >= _BLOCK and (end := _last_end(known, quote, cr_ends)):
            yield known[:end]
            known = known[end:]
    yield known


def _last_end(known: bytes, quote: bytes, cr_ends: bool) -> int:
    """Return where the last record that is there as a whole ends; 0 where none does."""

    def before(at: int) -> int:
        # A CR that is the last byte may be half of a line's end.
        return max(known.rfind(b"\n", 0, at), known.rfind(b"\r", 0, at - 1) if cr_ends else -1) + 1

    end = before(len(known))
    is_inside = bool(quote) and known.count(quote, 0, end) % 2 == 1
    while is_inside and end:
        earlier = before(end - 1)
        is_inside ^= known.count(quote, earlier, end) % 2 == 1
        end = earlier
    return end


def read_regular(reading: Reading) -> Iterator[pa.RecordBatch]:
    """Yield a piece's records; malformed ones come behind the others."""
    import numpy as np
    import pyarrow as pa

    bad: list[tuple[int, str]] = []
    row, comment = reading.piece.first_record, reading.dialect.comment
    for batch in _arrow(reading, bad):
        columns = _wanted(reading, batch)
        rows = np.arange(row, row + batch.num_rows)
        row += batch.num_rows
        reasons = _reasons(reading, columns, batch, comment)
        raw = pa.nulls(len(rows), pa.string())
        if reasons.null_count < len(reasons):
            columns = [_readable(column) for column in columns]
            raw = _raw_of(reading, batch, reasons)
        elif reading.layout.has_wrong_bytes:
            columns = [column.cast(pa.string()) for column in columns]
        yield batch_of(reading, columns, pa.array(rows), reasons, raw)
    # Their own place is not told; they come behind the good ones.
    for start in range(0, len(bad), RECORDS):
        part = bad[start : start + RECORDS]
        rows_of = range(row + start, row + start + len(part))
        lines = [
            (at, COMMENT if comment and text.startswith(comment) else reading.wrong_count, text)
            for at, (_, text) in zip(rows_of, part, strict=True)
        ]
        yield malformed_batch(reading, lines)


def _arrow(reading: Reading, bad: list[tuple[int, str]]) -> Iterator[pa.RecordBatch]:
    """Read all fields the header names, by their positions; what has other counts goes to `bad`."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    plain, names = reading.dialect.plain, [str(at) for at in range(len(reading.layout.header))]
    wanted = sorted({at for at in reading.places if at >= 0} | {0})
    kind = pa.binary() if reading.layout.has_wrong_bytes else pa.string()

    def note(row: Any) -> str:
        bad.append((row.number or 0, _decoded(row.text.encode("latin-1")) if odd else row.text))
        return "skip"

    parse = arrow_csv.ParseOptions(
        delimiter=plain.separator,
        quote_char=plain.quote or False,
        double_quote=bool(plain.quote),
        escape_char=False,
        newlines_in_values=True,
        ignore_empty_lines=True,
        invalid_row_handler=note,
    )
    convert = arrow_csv.ConvertOptions(
        check_utf8=False,
        column_types={names[at]: kind for at in wanted},
        include_columns=[names[at] for at in wanted],
        null_values=sorted({"", plain.null_value}),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    odd = False
    for block in _blocks(reading):
        if not block.strip(b"\r\n"):
            continue
        how = arrow_csv.ReadOptions(
            use_threads=False, block_size=len(block) + 1, column_names=names
        )
        # Arrow can't tell the text of a record that it skips where a byte of it is no UTF-8. Each
        # byte as a letter is; what means something to CSV is ASCII, and stays as it is.
        odd = reading.layout.has_wrong_bytes and not _is_utf8(block)
        text = block.decode("latin-1").encode() if odd else block
        table = arrow_csv.read_csv(pa.BufferReader(text), how, parse, convert).combine_chunks()
        for batch in table.to_batches():
            yield _as_they_were(batch) if odd else batch


def _as_they_were(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the bytes of values whose bytes were read as letters."""
    import pyarrow as pa

    def bytes_of(column: Any) -> Any:
        texts = column.cast(pa.string()).to_pylist()
        return pa.array([None if v is None else v.encode("latin-1") for v in texts], pa.binary())

    columns = [bytes_of(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _wanted(reading: Reading, batch: Any) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for at in reading.places:
        column = batch.column(str(at)) if at >= 0 else pa.nulls(batch.num_rows, pa.string())
        if at >= 0:
            for letter, other in reading.dialect.replaced.items():
                column = pc.replace_substring(column, other, letter)
        columns.append(column)
    return columns


def _reasons(reading: Reading, columns: list[Any], batch: Any, comment: str) -> Any:
    """Return what is wrong with each record whose fields are as many as the header's."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    none = pa.nulls(batch.num_rows, pa.string())
    if not (comment or reading.layout.has_wrong_bytes):
        return none
    is_wrong = np.zeros(batch.num_rows, bool)
    for column in columns if reading.layout.has_wrong_bytes else ():
        is_wrong |= _wrong_utf8(column)
    reasons = pc.if_else(pa.array(is_wrong), WRONG_BYTES, none)
    if comment:
        first = batch.column("0").cast(pa.binary())
        begins = pc.starts_with(first, pattern=comment).fill_null(False)
        reasons = pc.if_else(begins, COMMENT, reasons)
    return reasons


def _wrong_utf8(column: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([not _is_utf8(value) for value in column.to_pylist()])
    return np.zeros(len(column), bool)


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _readable(column: Any) -> Any:
    import pyarrow as pa

    if column.type != pa.binary():
        return column
    values = column.to_pylist()
    return pa.array([None if v is None else _decoded(v) for v in values], pa.string())


def _decoded(value: bytes) -> str:
    return shown(value.decode("utf-8", "surrogateescape"))


def _raw_of(reading: Reading, batch: Any, reasons: Any) -> Any:
    """Write malformed records again from the fields that are read of them."""
    import pyarrow as pa

    plain = reading.dialect.plain
    raw: list[str | None] = [None] * len(reasons)
    for at, reason in enumerate(reasons.to_pylist()):
        if reason is None:
            continue
        values = [batch.column(place)[at].as_py() for place in range(batch.num_columns)]
        texts = [v if isinstance(v, str) else _decoded(v or b"") for v in values]
        raw[at] = reading.dialect.restore(_written(texts, plain))
    return pa.array(raw, pa.string())


def _written(values: Sequence[str], plain: Dialect) -> str:
    out = io.StringIO()
    if not plain.quote:
        return plain.separator.join(values)
    writer = csv.writer(out, delimiter=plain.separator, quotechar=plain.quote, lineterminator="\n")
    writer.writerow(values)
    return out.getvalue().removesuffix("\n")
