"""Column mapping: what a table's columns are called in its files.

Follows "Column Mapping" in Delta's protocol document. In mode `name` a column is found in a file by
its physical name, in mode `id` by the id that the Parquet schema gives a field. Statistics and
partition values go by physical names in both. Renaming a column changes neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("none", "name", "id")
_ID = "delta.columnMapping.id"
_NAME = "delta.columnMapping.physicalName"
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """A table's columns (the outermost ones) to their physical names, and their ids in mode `id`.

    Both are empty for a table without column mapping.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> ColumnMapping:
        """Read it from a table's `metaData` action."""
        mode = mode_of(metadata)
        if mode == "none":
            return cls()
        fields = json.loads(metadata["schemaString"])["fields"]
        facts = {one["name"]: one.get("metadata") or {} for one in fields}
        names = {name: str(one.get(_NAME, name)) for name, one in facts.items()}
        ids = {name: int(one[_ID]) for name, one in facts.items() if _ID in one}
        return cls(names, ids if mode == "id" else {})

    def __bool__(self) -> bool:
        return bool(self.names)

    def physical(self, name: str) -> str:
        """Return a column's physical name."""
        return self.names.get(name, name)

    def logical(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is keyed by physical names keyed by the table's own names."""
        back = {physical: name for name, physical in self.names.items()}
        return {back.get(name, name): value for name, value in values.items()}

    def stored(self, schema: Any) -> dict[str, str]:
        """Return the columns that a file with this Arrow schema holds: name to name in the file."""
        if not self:
            return {name: name for name in schema.names}
        if self.ids:
            by_id = {
                int(one.metadata[_FIELD_ID]): one.name
                for one in schema
                if one.metadata and _FIELD_ID in one.metadata
            }
            return {name: by_id[number] for name, number in self.ids.items() if number in by_id}
        held = set(schema.names)
        return {name: physical for name, physical in self.names.items() if physical in held}


def mode_of(metadata: Mapping[str, Any]) -> str:
    """Return the mode that a table's `metaData` action asks for; `none` where it asks for none."""
    return str((metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none"))
