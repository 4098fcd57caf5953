"""Notes that a commit carries: facts that must hold for exactly the rows it wrote.

A note is in the table's history as soon as its rows are, on every store; a file beside the table
could not promise that. `replace_slice` writes them.
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

_MAKES_EMPTY = frozenset({"CREATE TABLE"})


def last_notes(
    spark: SparkSession, lake: Lake, table: Table | str, kind: str
) -> tuple[list[Any], str]:
    """Return the notes that hold for a table's rows, the newest first; or none, and why.

    That is the newest note, and those of commits that its writer did not know of: two may write
    different rows at once. A writer says in its note's `after` which version it had looked at (-1
    for no table). There is none where another kind of write came after it, or unknown to it
    (RESTORE, another program's append).
    """
    from delta.tables import DeltaTable

    history = DeltaTable.forPath(spark, lake.path(table)).history(_LOOK_BACK)
    found: list[Any] = []
    for commit in history.select("version", "operation", "userMetadata").collect():
        if found and commit["version"] <= found[0].get("after", commit["version"]):
            return found, ""
        fact = _fact(commit["userMetadata"], kind)
        if fact is not None:
            found.append(fact)
        elif commit["operation"] not in _HARMLESS:
            # The empty table that a first write makes just before its rows.
            if found and commit["operation"] in _MAKES_EMPTY:
                continue
            said = f"as version {commit['version']} ({commit['operation']}) of {table} does not say"
            return [], said
    if found:
        return found, ""
    return [], f"as none of the last {_LOOK_BACK} versions of {table} says"


def _fact(text: str | None, kind: str) -> Any | None:
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError:
        return None
    return found.get(kind) if isinstance(found, dict) else None
