"""What a lake holds, in a form that can be compared: what a repeated run must leave the same."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from pipelines.lake.catalog import LAYERS, Lake
from pipelines.lake.rows import arrow_tables

AUDIT = {"_ingested_at", "_updated_at", "quarantined_at", "scored_at", "started_at", "run_id"}
"""Columns that say when and by which run a row was written."""


def leave_unmade(lake: Lake, *tables: str) -> None:
    """Leave of each table what a driver leaves that is killed between its log and its commit."""
    for number, table in enumerate(tables):
        log = Path(lake.path(table), "_delta_log")
        (log / "_commits").mkdir(parents=True, exist_ok=True)
        if number % 2 == 0:
            beside = log / f".{0:020d}.json.7d1f.tmp"
            beside.write_text('{"commitInfo":{"timestamp":1')
            beside.with_name(f".{beside.name}.crc").write_bytes(b"crc")


def content(root: Path) -> dict[str, Any]:
    """Return all that must be the same of a lake, by name."""
    lake, found = Lake(str(root)), {}
    for layer in LAYERS:
        for place in sorted((root / layer).glob("*/_delta_log")):
            table = f"{layer}.{place.parent.name}"
            found[table] = _stages(lake) if table == "monitoring.runs" else _rows(lake, table)
    names = {_id(root, table): table for table in found}
    for file in sorted((root / "_state").rglob("*.json")):
        found[str(file.relative_to(root))] = _named(_state(file), names)
    for file in sorted((root / "_training").rglob("*.keras")):
        found.setdefault("weights", []).append(_weights(file))
    database = root / "_mlflow" / "mlflow.db"
    if database.exists():
        found["models"] = _models(database)
    found["reports"] = sorted(file.name for file in (root / "_reports").rglob("*.html"))
    return found


def _rows(lake: Lake, table: str) -> Counter[str]:
    rows: Counter[str] = Counter()
    for part in arrow_tables(lake, table):
        names = sorted(set(part.column_names) - AUDIT)
        rows.update(map(repr, part.select(names).to_pylist()))
    return rows


def _stages(lake: Lake) -> list[tuple[str, str]]:
    """Return which stage ran under which run: a repeated one is told of once or twice."""
    columns = ["run_id", "stage"]
    parts = [part.to_pylist() for part in arrow_tables(lake, "monitoring.runs", None, columns)]
    return sorted({(row["run_id"], row["stage"]) for part in parts for row in part})


def _state(file: Path) -> Any:
    stored = json.loads(file.read_text())
    if "bronze_version" in stored:
        # `last` says how the last run got there, which is not the same after a kill.
        return {key: stored[key] for key in ("bronze_version", "snapshot")}
    return stored if "ingest" not in file.parts else sorted(f["path"] for f in stored["files"])


def _id(root: Path, table: str) -> str:
    """Return a table's id, which the run that made it drew by lot."""
    commits = sorted(Path(Lake(str(root)).path(table), "_delta_log").glob("*.json"))
    lines = [line for one in commits for line in one.read_text().split("\n")]
    found = [json.loads(line)["metaData"]["id"] for line in lines if line.startswith('{"metaData"')]
    return str(found[-1]) if found else ""


def _named(value: Any, names: dict[str, str]) -> Any:
    """Return nested JSON values with tables' names in the place of their ids."""
    if isinstance(value, dict):
        return {key: _named(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def _weights(file: Path) -> str:
    import h5py

    digest = hashlib.sha256()
    with zipfile.ZipFile(file) as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        weights.visititems(
            lambda name, one: (
                digest.update(f"{name}".encode() + one[()].tobytes())
                if isinstance(one, h5py.Dataset)
                else None
            )
        )
    return digest.hexdigest()


def _models(database: Path) -> dict[str, Any]:
    with sqlite3.connect(database) as connection:
        ask = connection.execute
        return {
            "versions": ask("SELECT name, version FROM model_versions ORDER BY 1, 2").fetchall(),
            "aliases": ask("SELECT name, alias, version FROM registered_model_aliases").fetchall(),
        }


def differences(clean: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Say what differs."""
    said = []
    for name in sorted({*clean, *other}):
        one, two = clean.get(name), other.get(name)
        if one == two:
            continue
        if isinstance(one, Counter) and isinstance(two, Counter):
            lost, more = one - two, two - one
            example = next(iter([*lost, *more]))[:300]
            said.append(f"{name}: {lost.total()} rows lost, {more.total()} more: {example}")
        else:
            said.append(f"{name}: expected {str(one)[:300]}, found {str(two)[:300]}")
    return said
