"""What is written down of an erasure: a file while it is at work, a row of a table at its end."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pipelines.lake.catalog import Lake
from pipelines.lake.folder import Folder
from pipelines.lake.tables import ERASURES
from pipelines.lake.write import append_once

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATABASE_TABLE = "database table "


@dataclass
class Traces:
    """What a table held of a subject: live rows, and files of any version with its rows."""

    rows: int = 0
    files: list[str] = field(default_factory=list)
    first_version: int | None = None
    last_version: int | None = None
    """The first and last version that can't be read any more."""


@dataclass
class Record:
    """An erasure. Holds no value of the key."""

    erasure_id: str
    pipeline: str
    key_columns: list[str]
    key_hash: str
    started_at: str
    tables: dict[str, Traces] = field(default_factory=dict)
    not_searched: list[str] = field(default_factory=list)
    landing_files: list[str] = field(default_factory=list)
    """Where the rows came from: files, or `database table <name>`."""
    bundles: list[str] = field(default_factory=list)
    vocabularies: list[str] = field(default_factory=list)
    """Feature specs with a value of the key, and the features it is in."""
    finished_at: str | None = None

    def lines(self) -> list[str]:
        """Return what to tell a person."""
        said = [f"erasure {self.erasure_id} of {', '.join(self.key_columns)}"]
        for table, found in self.tables.items():
            if found.rows or found.files:
                said.append(f"  {table}: {found.rows} rows, {len(found.files)} files")
                if found.first_version is not None:
                    span = f"{found.first_version} to {found.last_version}"
                    said[-1] += f"; versions {span} can't be read any more"
        if len(said) == 1:
            said.append("  no table holds such a row")
        for table in self.not_searched:
            said.append(f"  {table}: not searched, it lacks a column of the key")
        said += [
            f"  bundle {name}: was trained with it and can't be reproduced; train again to have a "
            "model without it"
            for name in self.bundles
        ]
        if self.vocabularies:
            said.append(
                "  Vocabularies of features hold a value of the key. They were left: other rows "
                "may have it, and a model needs its own whole. If it tells who it was, make "
                "training set and model anew (`tidemill normalize`, `train`, `promote`), then "
                "delete these and MLflow's copies of the bundles:"
            )
            said += [f"    {name}" for name in self.vocabularies]
        tables = [name for name in self.landing_files if name.startswith(DATABASE_TABLE)]
        files = [name for name in self.landing_files if name not in tables]
        if files:
            said.append(
                "  Landing files are not tidemill's. These held it: delete them, or deliver them "
                "without it under a new name; a lake made anew would take it in again:"
            )
            said += [f"    {name}" for name in files]
        said += [
            f"  {name} held it: delete it there before the next ingest, which may read it again"
            for name in tables
        ]
        return said


def open_record(lake: Lake, pipeline: str, columns: list[str], key_hash: str) -> Record:
    """Return the unfinished erasure of the same key, or a new one."""
    folder = Folder(f"{lake.root}/_erasures")
    for name in folder.names():
        content = folder.read(name) if name.endswith(".json") else None
        if content is None:
            continue
        plain = json.loads(content)
        is_same = plain["key_hash"] == key_hash and plain["pipeline"] == pipeline
        if is_same and plain["finished_at"] is None:
            tables = {table: Traces(**found) for table, found in plain.pop("tables").items()}
            return Record(**plain, tables=tables)
    now = dt.datetime.now(dt.UTC)
    name = f"erasure-{now.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
    return Record(name, pipeline, columns, key_hash, now.isoformat(timespec="seconds"))


def keep_record(lake: Lake, record: Record) -> None:
    """Write down how far an erasure is."""
    content = json.dumps(asdict(record), sort_keys=True, indent=1)
    Folder(f"{lake.root}/_erasures").write(f"{record.erasure_id}.json", content.encode("utf-8"))


def keep_audit(spark: SparkSession, lake: Lake, record: Record, finished_at: dt.datetime) -> None:
    """Append the erasure's row to `monitoring.erasures`, once."""
    tables = [
        (name, found.rows, len(found.files), found.first_version, found.last_version)
        for name, found in record.tables.items()
        if found.rows or found.files
    ]
    started_at = dt.datetime.fromisoformat(record.started_at)
    row = (
        *(record.erasure_id, record.pipeline, record.key_columns, record.key_hash),
        *(started_at, finished_at, tables, record.bundles, record.landing_files),
        record.not_searched,
    )
    schema = (
        "erasure_id string, pipeline string, key_columns array<string>, key_hash string, "
        "started_at timestamp, finished_at timestamp, tables array<struct<table: string, "
        "rows: bigint, files: bigint, first_version: bigint, last_version: bigint>>, "
        "bundles array<string>, landing_files array<string>, not_searched array<string>"
    )
    df = spark.createDataFrame([row], schema).coalesce(1)
    append_once(df, lake, ERASURES, record.erasure_id, 1)
