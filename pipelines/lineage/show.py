"""What `tidemill runs` and `tidemill lineage` print."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from pipelines.errors import TableNotFound, UsageError, nearest
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.delta_log import committed_by
from pipelines.lake.rows import rows_of
from pipelines.lake.tables import ledger_of
from pipelines.lineage.records import RunRecord, read_records
from pipelines.lineage.trace import Origin, lines, trace


def runs_of(lake: Lake, pipeline: str, stage: str | None = None) -> list[RunRecord]:
    """Return the records of a pipeline, oldest first, of one stage if it is given.

    Raises UsageError where there are none of that stage.
    """
    mine = [one for one in read_records(lake) if one.pipeline == pipeline]
    found = [one for one in mine if stage in (None, one.stage)]
    known = sorted({one.stage for one in mine})
    if mine and not found:
        raise UsageError(
            f"no run of the stage '{stage}' is recorded for '{pipeline}'; there are runs of "
            f"{', '.join(known)}.{nearest(stage or '', known)}"
        )
    return found


def run_lines(records: Sequence[RunRecord]) -> Iterator[str]:
    """Yield a heading and a line for each run."""
    if not records:
        yield "nothing has run in this lake yet"
        return
    width = max(len(one.run_id) for one in records)
    yield f"{'started (UTC)':20s} {'stage':10s} {'date':10s} {'seconds':>8s}  {'run':{width}s}"
    for one in records:
        counts = [f"{key}={value:,}" for key, value in one.counts.items() if "." not in key]
        written = [f"{table}@{version}" for table, version in one.written.items()]
        written += [] if one.status == "done" else [f"{one.status.upper()}: {one.error}"]
        yield (
            f"{one.started_at:%Y-%m-%d %H:%M:%S}  {one.stage:10s} {one.date or '':10s} "
            f"{one.seconds:8.1f}  {one.run_id:{width}s}  {' '.join(counts + written)}"
        )


def origin_in(lakes: Sequence[Lake], table: str, version: int | None) -> tuple[Lake, Origin]:
    """Return where a table came from, and the first of the lakes that knows it.

    Raises TableNotFound where no run in any of them has written it.
    """
    name, known = str(Table.parse(table)), set()
    for lake in lakes:
        records = read_records(lake)
        known |= {written for one in records for written in one.written}
        origin = trace(records, name, version, functools.partial(committed_by, lake))
        if origin is not None and origin.run is not None:
            return lake, origin
    at = "" if version is None else f" at version {version}"
    raise TableNotFound(
        f"no run is recorded that wrote {name}{at}; known tables are "
        f"{', '.join(sorted(known)) or 'none'}.{nearest(name, sorted(known))}"
    )


def lineage_lines(lake: Lake, origin: Origin) -> Iterator[str]:
    """Yield the way back, with the landing files below bronze tables."""

    def landed(table: str, version: int) -> list[str]:
        rows = rows_of(lake, ledger_of(table), version, ["path"])
        return sorted({str(row["path"]) for row in rows})

    yield from lines(origin, landed)
