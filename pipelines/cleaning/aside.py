"""What to say of a run that put more into quarantine than its settings allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.batch import Batch
from pipelines.cleaning.casts import ORDER, RAW
from pipelines.cleaning.duplicates import FATE
from pipelines.cleaning.hints import reading
from pipelines.lake.read import table_exists
from pipelines.lake.rows import rows_of
from pipelines.lake.tables import rejected
from pipelines.quality.aside import is_too_much, shown
from pipelines.quality.rules import REASONS

if TYPE_CHECKING:
    from pipelines.run import Run

_SHOWN = 3


def too_much_aside(
    run: Run, batches: Mapping[str, Batch], reasons: Mapping[str, Mapping[str, int]]
) -> str | None:
    """Say of which entities too much went into quarantine, and why; None where of none.

    All is written by now. `reasons` counts the rows of each reason by entity.
    """
    judged = [batch.judgement for batch in batches.values()]
    is_all = sum(one.rows_in - one.fates["quarantined"] for one in judged) == 0

    def has_none(name: str) -> bool:
        rows = run.standing.read(run.tables.silver(name))
        return rows is None or rows.isEmpty()

    said = [
        _said(run, batch, reasons.get(name, {}))
        for name, batch in batches.items()
        if is_too_much(
            batch.judgement.fates["quarantined"],
            batch.judgement.rows_in,
            batch.entity.max_quarantined,
            is_fruitless=lambda name=name: is_all or has_none(name),  # type: ignore[misc]
        )
    ]
    return "\n".join(said) or None


def aside_notes(
    run: Run, batches: Mapping[str, Batch], reasons: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Say of each entity of which rows went into quarantine how many, why, and what shows them."""
    return [
        f"{_listed(run, batches[name], found)}. {_command(run, name, found)} shows them"
        for name, found in reasons.items()
    ]


def _said(run: Run, batch: Batch, reasons: Mapping[str, int]) -> str:
    name, pipeline = batch.name, run.pipeline.name
    return (
        f"{_listed(run, batch, reasons)}. That is more than the share of "
        f"{batch.entity.max_quarantined:g} that `clean.entities.{name}.max_quarantined` allows. "
        f"All rows are written, and {_command(run, name, reasons)} shows them. "
        "Correct the settings under `clean.entities` and run "
        f"`tidemill clean {pipeline} --again --entity {name}`, or deliver corrected rows; or go "
        "on as it is: the next run takes what is new."
    )


def _listed(run: Run, batch: Batch, reasons: Mapping[str, int]) -> str:
    """Tell how many rows went into quarantine, with the commonest reasons."""
    listed = "; ".join(
        f"{reason} in {count:,} row{'s' * (count != 1)}{_example(run, batch, reason)}"
        for reason, count in _commonest(reasons)
    )
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    fates, total = batch.judgement.fates, batch.judgement.rows_in
    return (
        f"{fates['quarantined']:,} of {total:,} new rows of '{batch.name}' went into quarantine: "
        f"{listed}{more}"
    )


def _commonest(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]


def _command(run: Run, name: str, reasons: Mapping[str, int]) -> str:
    reason = f" --reason {_commonest(reasons)[0][0]}" if len(reasons) > 1 else ""
    return f"`tidemill quarantine show {run.pipeline.name} {name}{reason}`"


def _example(run: Run, batch: Batch, reason: str) -> str:
    """Show a value that has a reason, unless values of its source are protected."""
    kind, colon, name = reason.partition(":")
    if not colon:
        checks = {rule.name: rule.check for rule in batch.entity.rules}
        return f" (`{checks[reason]}`)" if reason in checks else ""
    column = batch.entity.columns.get(name)
    if kind not in ("cast", "outlier") or column is None:
        return ""
    if run.pipeline.privacy.sources.get(batch.entity.source):
        return ""
    rows = batch.rows.where(F.col(FATE) == "quarantined")
    rows = rows.where(F.array_contains(REASONS, reason)).orderBy(*ORDER)
    found = rows.select(F.col(f"{RAW}.`{column.source or name}`").cast("string").alias("v")).head()
    if found is None:
        return ""
    hint = reading(str(found["v"]), name, column) if kind == "cast" else ""
    return f" (for example {shown(found['v'])} as {column.type}{f': {hint}' if hint else ''})"


def all_rejected(run: Run) -> str | None:
    """Say what `ingest` put aside where that is all it ever read; None where it put nothing."""
    said = []
    for name in dict.fromkeys(one.source for one in run.pipeline.clean.entities.values()):
        if not table_exists(run.spark, run.lake, rejected(name)):
            continue
        rows = rows_of(run.lake, rejected(name), columns=["_source_file", "reason"])
        if rows:
            first = rows[0]
            said.append(
                f"{len({row['_source_file'] for row in rows}):,} files of '{name}' (for one "
                f"{first['_source_file']}: {first['reason']}), shown by `tidemill quarantine "
                f"files {run.pipeline.name} {name}`"
            )
    return "; ".join(said) or None
