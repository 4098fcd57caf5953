"""Notes that a commit carries: facts that must hold for exactly the rows it wrote.

A note is in the table's history as soon as its rows are, and of two writers the later commit's
note counts, on every store; a file beside the table could promise neither. `replace_slice` writes
them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipelines.lake.catalog import Lake, Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_BACK = 200
# These leave the content as it is. Rows that were deleted (an erasure) are meant to be gone.
_HARMLESS = frozenset(
    {
        *("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "DELETE", "CLUSTER BY"),
        *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "UPGRADE PROTOCOL", "COMPUTE STATS"),
    }
)


def last_note(
    spark: SparkSession, lake: Lake, table: Table | str, kind: str
) -> tuple[Any | None, str]:
    """Return the newest note of a kind, or None and why there is none that still holds.

    None too where another kind of write came after it (RESTORE, another program's append).
    """
    from delta.tables import DeltaTable

    history = DeltaTable.forPath(spark, lake.path(table)).history(_LOOK_BACK)
    for commit in history.select("version", "operation", "userMetadata").collect():
        fact = _fact(commit["userMetadata"], kind)
        if fact is not None:
            return fact, ""
        if commit["operation"] not in _HARMLESS:
            said = f"as version {commit['version']} ({commit['operation']}) of {table} does not say"
            return None, said
    return None, f"as none of the last {_LOOK_BACK} versions of {table} says"


def _fact(text: str | None, kind: str) -> Any | None:
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError:
        return None
    return found.get(kind) if isinstance(found, dict) else None
