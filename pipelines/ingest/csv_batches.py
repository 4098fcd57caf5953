"""Records of a CSV file as Arrow batches, in bounded memory; run where Spark's workers run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from pipelines.errors import LakeError
from pipelines.ingest.csv_census import Layout, Piece
from pipelines.ingest.csv_fields import records
from pipelines.ingest.csv_text import read_plain, read_texts
from pipelines.ingest.dialect import Dialect

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 4 * 2**20
_RECORDS = 10_000
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


def read_batches(reading: Reading) -> Iterator[pa.RecordBatch]:
    """Yield a piece's records, good and malformed: wanted columns, number, row, reason, raw.

    Raises LakeError where they are not as many as the census counted.
    """
    found = 0
    if reading.piece.num_records:
        read = _regular if reading.layout.is_regular else _irregular
        for batch in read(reading):
            found += batch.num_rows
            yield batch
    if found != reading.piece.num_records:
        raise LakeError(
            f"{reading.uri}: {found:,} records were read where {reading.piece.num_records:,} were "
            "counted. Has the file changed while it was read? Run ingest again when deliveries "
            "are complete; if it says so again, report the file, and move it away until then."
        )


def _batch(reading: Reading, columns: list[Any], rows: Any, reason: Any, raw: Any) -> Any:
    import pyarrow as pa

    number = pa.array([reading.number], pa.int64()).take(pa.array([0] * len(rows), pa.int32()))
    arrays = [*columns, number, rows, reason, raw]
    return pa.RecordBatch.from_arrays(arrays, [str(place) for place in range(len(arrays))])


def _bad_batch(reading: Reading, found: list[tuple[int, str, str]]) -> Any:
    """Make a batch of malformed records: position, reason, raw text."""
    import pyarrow as pa

    columns = [pa.nulls(len(found), pa.string()) for _ in reading.places]
    rows, reasons, raw = zip(*found, strict=True)
    restored = [_shown(reading.dialect.restore(text)) for text in raw]
    strings = [pa.array(texts, pa.string()) for texts in (reasons, restored)]
    return _batch(reading, columns, pa.array(rows, pa.int64()), *strings)


def _shown(text: str) -> str:
    return re.sub("[\ud800-\udfff]+", "\ufffd", text)


# --- files whose quotes were proven to be right: Arrow's reader ---


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


def _regular(reading: Reading) -> Iterator[pa.RecordBatch]:
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
        yield _batch(reading, columns, pa.array(rows), reasons, raw)
    # Their own place is not told; they come behind the good ones.
    for start in range(0, len(bad), _RECORDS):
        part = bad[start : start + _RECORDS]
        rows_of = range(row + start, row + start + len(part))
        lines = [
            (at, COMMENT if comment and text.startswith(comment) else reading.wrong_count, text)
            for at, (_, text) in zip(rows_of, part, strict=True)
        ]
        yield _bad_batch(reading, lines)


def _arrow(reading: Reading, bad: list[tuple[int, str]]) -> Iterator[pa.RecordBatch]:
    """Read all fields the header names, by their positions; what has other counts goes to `bad`."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    plain, names = reading.dialect.plain, [str(at) for at in range(len(reading.layout.header))]
    wanted = sorted({at for at in reading.places if at >= 0} | {0})
    kind = pa.binary() if reading.layout.has_wrong_bytes else pa.string()

    def note(row: Any) -> str:
        bad.append((row.number or 0, row.text))
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
    for block in _blocks(reading):
        if not block.strip(b"\r\n"):
            continue
        how = arrow_csv.ReadOptions(
            use_threads=False, block_size=len(block) + 1, column_names=names
        )
        table = arrow_csv.read_csv(pa.BufferReader(block), how, parse, convert)
        yield from table.combine_chunks().to_batches()


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
    return _shown(value.decode("utf-8", "surrogateescape"))


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


# --- all others: field by field ---


def _irregular(reading: Reading) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    layout = reading.layout
    plain = replace(reading.dialect.plain, cr_ends=layout.cr_ends)
    texts = read_texts(reading.uri, reading.dialect, reading.piece.start)
    found = records(texts, plain, layout.first_line)
    row = 0
    while part := list(islice(found, _RECORDS)):
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
            yield _batch(reading, arrays, pa.array(rows, pa.int64()), nothing, nothing)
        if bad:
            yield _bad_batch(reading, bad)


def _judge(fields: Sequence[str | None], problem: str, text: str, reading: Reading) -> str:
    comment = reading.dialect.comment
    if comment and text.startswith(comment):
        return COMMENT
    if problem:
        return problem
    if len(fields) != len(reading.layout.header):
        return reading.wrong_count
    return WRONG_BYTES if re.search("[\ud800-\udfff]", text) else ""
