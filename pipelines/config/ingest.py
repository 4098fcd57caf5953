"""Settings of `ingest`: the sources a pipeline reads from its landing folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.config.base import Settings


class Source(Settings):
    """One kind of landing file; it fills the table `bronze.<source>`."""

    path: str
    """Folder or glob below the landing folder."""
    format: Literal["csv", "json", "parquet"] = "csv"
    columns: tuple[str, ...]
    """Columns every file must have, in any order. Bronze keeps them as text (CSV, JSON)."""
    delivery: Literal["append", "upsert", "full_snapshot"] = "append"
    """How deliveries relate: new rows only; rows that replace those of the same key; all rows."""
    on_change: Literal["fail", "correction"] = "fail"
    """What a changed file under a known path means: stop the run, or read it again."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further options of Spark's reader for this format (`sep`, `encoding`, `nullValue`, ...)."""


class Ingest(Settings):
    """Settings of the stage `ingest`."""

    sources: dict[str, Source]
