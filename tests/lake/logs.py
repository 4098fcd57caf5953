"""Small tables whose logs are written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PROTOCOL = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def column(name: str, type: Any, **metadata: Any) -> dict[str, Any]:
    """A column of a table's schema."""
    return {"name": name, "type": type, "nullable": True, "metadata": metadata}


def metadata(
    *columns: dict[str, Any],
    partitioned_by: Sequence[str] = (),
    configuration: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A `metaData` action."""
    return {
        "metaData": {
            "id": "1",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": list(columns)}),
            "partitionColumns": list(partitioned_by),
            "configuration": dict(configuration or {}),
        }
    }


def add(path: str, stats: Mapping[str, Any] | str | None = None, **values: str) -> dict[str, Any]:
    """An `add` action; `values` are those of the partition columns."""
    action = {"path": path, "partitionValues": values, "size": 1, "dataChange": True}
    if stats is not None:
        action["stats"] = stats if isinstance(stats, str) else json.dumps(stats)
    return {"add": action}


def commit(
    table: Path, version: int, *actions: dict[str, Any] | str, indent: int | None = None
) -> Path:
    """Write a commit: actions, or lines as they are to stand there."""
    file = table / "_delta_log" / f"{version:020}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, indent=indent)
        for one in actions
    ]
    file.write_bytes("\n".join(lines).encode())
    return file


def data(table: Path, name: str, columns: Mapping[str, pa.Array], ids: Sequence[int] = ()) -> None:
    """Write a data file; `ids` are the field ids of its columns."""
    fields = [
        pa.field(key, value.type, metadata={"PARQUET:field_id": str(ids[at])} if ids else None)
        for at, (key, value) in enumerate(columns.items())
    ]
    rows = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))
    (table / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, table / name)
