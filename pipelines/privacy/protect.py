"""What is kept of marked columns: a frame in, the same frame without clear values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.privacy import Mark
from pipelines.privacy.hashing import keyed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pipelines.config import Pipeline

MASKED = "***"
UNREADABLE = "(unreadable)"
_WHITE = " \t\r\n\f\u00a0\ufeff"


@dataclass(frozen=True)
class Protection:
    """How the rows of one source are protected.

    `missing` are the texts that mean a missing value: they stay what they are.
    """

    marks: Mapping[str, Mark]
    keys: Sequence[str] = ()
    missing: frozenset[str] = frozenset()
    at_ingest: bool = False

    @classmethod
    def of(cls, pipeline: Pipeline, source: str) -> Protection | None:
        """Return the protection of a source; None where nothing of it is marked."""
        privacy = pipeline.privacy
        marks = privacy.sources.get(source, {})
        if not marks:
            return None
        missing = {
            text
            for entity in pipeline.clean.entities.values()
            if entity.source == source
            for column in entity.columns.values()
            for text in column.null_values
        }
        return cls(marks, privacy.keys, frozenset(missing), privacy.protects_at_ingest(source))


def protect(df: DataFrame, protection: Protection | None) -> DataFrame:
    """Return the frame with its marked columns as texts that may be kept.

    What is protected already stays, but for pseudonyms of older keys, which become such of the
    newest. Columns that the frame lacks are passed over.
    """
    if protection is None:
        return df
    return df.withColumns(
        {
            name: _kept(name, mark, protection)
            for name, mark in protection.marks.items()
            if name in df.columns
        }
    )


def protect_raw(raw: Column, row: Column, protection: Protection) -> Column:
    """Return what is kept of a malformed record: its position in the file, and a keyed hash."""
    return F.concat(F.lit("row "), row.cast("string"), F.lit(", "), keyed(raw, protection.keys))


def _kept(name: str, mark: Mark, protection: Protection) -> Column:
    if mark.action == "drop":
        return F.lit(None).cast("string")
    text = F.btrim(F.col(f"`{name}`").cast("string"), F.lit(_WHITE))
    missing = sorted({"", *protection.missing})
    return F.when(text.isin(*missing), text).otherwise(_of_text(text, mark, protection))


def _of_text(text: Column, mark: Mark, protection: Protection) -> Column:
    if mark.action == "pseudonymize":
        return keyed(text, protection.keys)
    if mark.to == "prefix":
        return F.left(text, F.lit(mark.keep))
    if mark.to == "year":
        year = F.regexp_extract(text, r"^(\d{4})(\D|$)", 1)
        if mark.format is not None:
            read = F.year(F.try_to_timestamp(text, F.lit(mark.format))).cast("string")
            year = F.when(text.rlike(r"^\d{4}$"), text).otherwise(read)
        return F.when(text.isNotNull(), F.coalesce(F.nullif(year, F.lit("")), F.lit(UNREADABLE)))
    # A short text is hidden whole: its last letters would be all of it.
    keep = mark.keep or 0
    last = F.when(F.length(text) >= 3 * keep, F.right(text, F.lit(keep))).otherwise("")
    masked = F.concat(F.lit(MASKED), last if keep else F.lit(""))
    # What was masked before stays; a clear text that only begins like it doesn't.
    is_masked = text.startswith(MASKED) & (F.length(text) <= len(MASKED) + keep)
    return F.when(is_masked, text).otherwise(F.when(text.isNotNull(), masked))
