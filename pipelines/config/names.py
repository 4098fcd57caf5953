"""Names that settings give to things of the lake: one rule for all that become a table or a folder.

A name is a folder on any file system, an SQL identifier, and part of other names (`<model>_drift`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

LONGEST = 100


def _names_a_table(value: str) -> str:
    if not value.isidentifier() or value.startswith("_") or len(value) > LONGEST:
        raise ValueError(
            f"'{value[:LONGEST]}' can't be a name here: it becomes a table, and a folder of the "
            f"lake. Expected letters, digits and `_`, a letter first, {LONGEST} at most, such as "
            "flights_2013"
        )
    return value


TableName = Annotated[str, AfterValidator(_names_a_table)]
"""The name of a source, an entity, a table or a registered model."""
