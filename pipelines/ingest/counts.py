"""What was written of files is compared with what was read of them, and with what they hold."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import LakeError
from pipelines.ingest.files import LandingFile
from pipelines.ingest.ledger import Batch
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.sorting import Sorted

Counts = dict[str, int]
"""Number of records by file."""


def check_total(table: str, outcome: Outcome, batch: Batch) -> None:
    """Raise LakeError where other numbers of records were read than written, good and malformed."""
    if outcome.records == outcome.rows + outcome.malformed:
        return
    raise LakeError(
        f"{table}: {outcome.records:,} records were read from "
        f"{_some(batch.files)}, but the tables hold {outcome.rows:,} good and "
        f"{outcome.malformed:,} malformed ones of them. The files may have changed while they "
        "were read; run ingest again when deliveries are complete. If it says so again, move "
        "the source's three tables and its files in `_state` away: all its files are read anew."
    )


def check_each(table: str, found: Sorted, good: Counts, malformed: Counts) -> None:
    """Raise LakeError where a file was found to hold other numbers of records before."""
    for file, records in found.expected.items():
        written = good.get(file.path, 0) + malformed.get(file.path, 0)
        if file not in found.rejected and written != records:
            raise LakeError(
                f"{table}: {file.path} holds {records:,} records, but {written:,} "
                "were written of it. It may have changed while it was read; deliver it again "
                "under another name, and run ingest again. If it says so again, move the "
                "source's three tables and its files in `_state` away: all is read anew."
            )


def _some(files: Sequence[LandingFile]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(file.path for file in files[:3]) + more
