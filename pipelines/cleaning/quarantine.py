"""Rejected rows, as a person looks at them. Needs no Spark."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.config import Pipeline
from pipelines.errors import UsageError, nearest
from pipelines.lake.catalog import Lake
from pipelines.lake.rows import rows_of
from pipelines.lake.tables import RELEASES, quarantine

Changes = Mapping[str, str | None]
"""New values by column of the source; None empties it."""

_ID, _REASONS = "_id", "_reasons"


@dataclass(frozen=True)
class Rejected:
    """A row that `clean` kept out. `values` are those of the source, as quarantine shows them.

    `id` is short and made from what tells the row apart: its file, the file's time, its number.
    """

    id: str
    file: str
    delivered_at: dt.datetime
    row: int
    reasons: tuple[str, ...]
    values: Mapping[str, Any]
    is_released: bool = False
    changes: Changes = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        found = asdict(self)
        return {key: value for key, value in found.items() if value or key != "changes"}


def row_id(file: str, delivered_at: dt.datetime, row: int) -> str:
    """Return the short name of a bronze row."""
    text = f"{file}\n{_naive_is_utc(delivered_at).isoformat()}\n{row}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _naive_is_utc(moment: dt.datetime) -> dt.datetime:
    # Parquet's older times come without a zone: they are UTC.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC)


def rejected_rows(lake: Lake, pipeline: Pipeline, entity: str) -> list[Rejected]:
    """Return all rows in an entity's quarantine, newest deliveries first.

    Raises UsageError where the pipeline has no such entity.
    """
    known = list(pipeline.clean.entities)
    if entity not in known:
        raise UsageError(
            f"'{entity}' is no entity of {pipeline.name}; expected one of {', '.join(known)}."
            f"{nearest(entity, known)}"
        )
    released = {row["row_id"] for row in rows_of(lake, RELEASES) if row["entity"] == entity}
    found = [_rejected(row, released) for row in rows_of(lake, quarantine(entity))]
    newest_first = sorted(found, key=lambda one: one.delivered_at, reverse=True)
    return sorted(newest_first, key=lambda one: one.is_released)


def _rejected(row: dict[str, Any], released: set[str]) -> Rejected:
    own = ("_source_file", "_source_modified_at", "_row", "reasons", "quarantined_at")
    file, number = row["_source_file"], int(row["_row"])
    at = _naive_is_utc(row["_source_modified_at"])
    name = row_id(file, at, number)
    return Rejected(
        id=name,
        file=file,
        delivered_at=at,
        row=number,
        reasons=tuple(row["reasons"] or ()),
        values={key: value for key, value in row.items() if key not in own},
        is_released=name in released,
    )


@dataclass(frozen=True)
class Choice:
    """Which rejected rows are meant: those that fulfil all that is given."""

    ids: Sequence[str] = ()
    key: Changes = field(default_factory=dict)
    reason: str | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is given."""
        return bool(self.ids or self.key or self.reason)

    def of(self, rows: Iterable[Rejected]) -> list[Rejected]:
        """Return the rows that are meant; raise UsageError for an id or column that is none."""
        rows = list(rows)
        known = [one.id for one in rows]
        for name in self.ids:
            if name not in known:
                raise UsageError(
                    f"no rejected row has the id '{name}'; `tidemill quarantine show` lists them."
                    f"{nearest(name, known)}"
                )
        if rows:
            check_columns(rows[0], self.key)
        return [one for one in rows if self._means(one)]

    def _means(self, row: Rejected) -> bool:
        has_id = not self.ids or row.id in self.ids
        has_reason = self.reason is None or self.reason in row.reasons
        return has_id and has_reason and all(_text(row.values[k]) == v for k, v in self.key.items())


def check_columns(row: Rejected, given: Iterable[str]) -> None:
    """Raise UsageError for a name that is no column of the source."""
    known = list(row.values)
    for name in given:
        if name not in known:
            raise UsageError(
                f"'{name}' is no column of the source, whose values are what can be corrected; "
                f"it has {', '.join(known)}.{nearest(name, known)}"
            )


def pairs(given: Sequence[str], option: str) -> dict[str, str | None]:
    """Read COLUMN=VALUE; without a value the column is emptied."""
    found: dict[str, str | None] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise UsageError(f"{option} {text}: expected COLUMN=VALUE")
        found[name] = value or None
    return found


def write_csv(rows: Sequence[Rejected], file: Path) -> None:
    """Write rows for a person to correct; `read_csv` reads them back."""
    columns = list(dict.fromkeys(name for one in rows for name in one.values))
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow([_ID, _REASONS, *columns])
        for one in rows:
            values = [_text(one.values.get(name)) or "" for name in columns]
            writer.writerow([one.id, " ".join(one.reasons), *values])


def read_csv(file: Path, rows: Iterable[Rejected]) -> list[Rejected]:
    """Return the rows that a corrected file names, each with what differs from what was shown."""
    by_id = {one.id: one for one in rows}
    try:
        with file.open(newline="", encoding="utf-8") as handle:
            lines = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--file {file} can't be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=2):
        row = by_id.get(line.get(_ID) or "")
        if row is None:
            raise UsageError(
                f"{file}, line {number}: the column '{_ID}' holds {line.get(_ID)!r}, which is no "
                "rejected row's. Write the file with `tidemill quarantine show ... --to FILE`."
            )
        # Rows of before the source gained a column don't have it; they are empty there.
        given = {
            k: v or None
            for k, v in line.items()
            if k not in (_ID, _REASONS, None) and (v or k in row.values)
        }
        check_columns(row, given)
        changes = {k: v for k, v in given.items() if v != _text(row.values.get(k))}
        found.append(replace(row, changes=changes))
    return found


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def lines(rows: Sequence[Rejected], entity: str, total: int) -> list[str]:
    """Return what `tidemill quarantine show` prints."""
    if not total:
        return [f"no row of {entity} is in quarantine"]
    said = [f"{len(rows):,} of {total:,} rejected rows of {entity}"]
    for one in rows:
        where = f"{one.file}, row {one.row}, delivered {one.delivered_at:%Y-%m-%d %H:%M} UTC"
        state = "  (released)" if one.is_released else ""
        values = " ".join(f"{k}={v}" for k, v in one.values.items() if v is not None)
        said += [f"{one.id}  {', '.join(one.reasons)}{state}", f"    {where}", f"    {values}"]
    return said
