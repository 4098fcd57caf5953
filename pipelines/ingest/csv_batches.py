"""Records of a CSV file as Arrow batches, in bounded memory; run where Spark's workers run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.errors import LakeError
from pipelines.ingest.csv_irregular import read_irregular
from pipelines.ingest.csv_reading import Reading
from pipelines.ingest.csv_regular import read_regular

if TYPE_CHECKING:
    import pyarrow as pa


def read_batches(reading: Reading) -> Iterator[pa.RecordBatch]:
    """Yield a piece's records, good and malformed: wanted columns, number, row, reason, raw.

    Raises LakeError where they are not as many as the census counted.
    """
    found = 0
    if reading.piece.num_records:
        read = read_regular if reading.layout.is_regular else read_irregular
        for batch in read(reading):
            found += batch.num_rows
            yield batch
    if found != reading.piece.num_records:
        raise LakeError(
            f"{reading.uri}: {found:,} records were read where {reading.piece.num_records:,} were "
            "counted. Has the file changed while it was read? Run ingest again when deliveries "
            "are complete; if it says so again, report the file, and move it away until then."
        )
