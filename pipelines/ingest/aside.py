"""What `ingest` put aside: what to say of a run that did so with too much, and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError, nearest
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.tables import Tables
from pipelines.lake.rows import rows_of
from pipelines.quality.aside import is_too_much, shown

if TYPE_CHECKING:
    from pipelines.config import Pipeline
    from pipelines.lake.catalog import Lake
    from pipelines.run import Run

_SHOWN = 3


def too_much_aside(run: Run, outcomes: Mapping[str, Outcome]) -> str | None:
    """Say of which sources too many files or records were put aside; None where of none."""
    is_all = not any(one.rows for one in outcomes.values())

    def has_none(name: str) -> bool:
        rows = run.standing.read(Tables(name).rows)
        return rows is None or rows.isEmpty()

    said = []
    for name, one in outcomes.items():
        allowed = run.pipeline.ingest.sources[name].max_rejected
        amounts = {
            "files": (len(one.rejected), one.files + one.corrected),
            "records": (one.malformed, one.records),
        }
        for what, (bad, total) in amounts.items():
            if is_too_much(
                bad,
                total,
                allowed,
                is_fruitless=lambda name=name: is_all or has_none(name),  # type: ignore[misc]
            ):
                said.append(_said(run, name, what, bad, total, allowed, one))
                break
    return "\n".join(said) or None


def aside_notes(run: Run, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Say of each source how many files or records were put aside, why, and what shows them."""
    said = []
    for name, one in outcomes.items():
        amounts = {"file": len(one.rejected), "record": one.malformed}
        for what, bad in amounts.items():
            if bad:
                reasons = _reasons(run, name, f"{what}s", one)
                said.append(
                    f"{bad:,} new {what}{'s' * (bad != 1)} of source '{name}' "
                    f"{'was' if bad == 1 else 'were'} put aside: {reasons}. {_command(run, name)} "
                    f"shows {'it' if bad == 1 else 'them'}"
                )
    return said


def _said(
    run: Run, name: str, what: str, bad: int, total: int, allowed: float, outcome: Outcome
) -> str:
    return (
        f"{bad:,} of {total:,} new {what} of source '{name}' were put aside, more than the share "
        f"of {allowed:g} that `ingest.sources.{name}.max_rejected` allows: "
        f"{_reasons(run, name, what, outcome)}. All is written, and {_command(run, name)} shows "
        f"more. Correct `ingest.sources.{name}`, deliver corrected files, or go on as it is: the "
        "next run takes what is new."
    )


def _command(run: Run, name: str) -> str:
    return f"`tidemill quarantine files {run.pipeline.name} {name}`"


def _reasons(run: Run, name: str, what: str, outcome: Outcome) -> str:
    """Return the commonest reasons why a run's files, or records, were put aside."""
    if what == "files":
        return _commonest((why, path) for path, why in outcome.rejected.items())
    has_marks = bool(run.pipeline.privacy.sources.get(name))
    rows = rows_of(run.lake, Tables(name).rejected, columns=["reason", "raw", "_batch"])
    newest = max((row["_batch"] for row in rows), default=None)
    return _commonest(
        (row["reason"], "" if has_marks else row["raw"])
        for row in rows
        if row["raw"] is not None and row["_batch"] == newest
    )


def _commonest(found: Iterable[tuple[str, str]]) -> str:
    """Return the commonest reasons, each with how often it was and an example."""
    first: dict[str, str] = {}
    times: Counter[str] = Counter()
    for why, example in found:
        first.setdefault(why, example)
        times[why] += 1
    listed = []
    for why, count in times.most_common(_SHOWN):
        example = f", for example {shown(first[why])}" if first[why] else ""
        listed.append(f"{why} ({count:,} time{'s' * (count != 1)}{example})")
    more = f"; and {len(times) - _SHOWN} other reasons" if len(times) > _SHOWN else ""
    return "; ".join(listed) + more


def put_aside(lake: Lake, pipeline: Pipeline, source: str) -> list[dict[str, Any]]:
    """Return all files and records of a source that `ingest` put aside, newest first."""
    if source not in pipeline.ingest.sources:
        known = list(pipeline.ingest.sources)
        raise UsageError(
            f"'{source}' is no source of {pipeline.name}; expected one of {', '.join(known)}."
            f"{nearest(source, known)}"
        )
    columns = ["_source_file", "_source_modified_at", "reason", "raw"]
    rows = rows_of(lake, Tables(source).rejected, columns=columns)
    return sorted(rows, key=lambda row: row["_source_modified_at"], reverse=True)


def lines(rows: Sequence[Mapping[str, Any]], source: str, total: int) -> list[str]:
    """Return what `tidemill quarantine files` prints."""
    if not total:
        return [f"nothing of {source} was put aside"]
    said = [f"{len(rows):,} of {total:,} files and records of {source} that were put aside"]
    for row in rows:
        said.append(f"{row['_source_file']}: {row['reason']}")
        if row["raw"] is not None:
            said.append(f"    {shown(row['raw'], 200)}")
    return said
