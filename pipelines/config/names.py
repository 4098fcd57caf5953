"""Names that settings give to things and places: one rule for all that become a table or a folder.

A name is a folder on any file system, an SQL identifier, and part of other names (`<model>_drift`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

LONGEST = 100
DELETE = 0x7F


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


def _names_a_place(value: str) -> str:
    if not value.strip():
        raise ValueError(
            "an empty text names no folder (is a variable of the shell not set?). Give a folder or "
            "URI; `.` is the project's own folder"
        )
    return _without_control_characters(value)


def _without_control_characters(value: str) -> str:
    odd = next((one for one in value if ord(one) < ord(" ") or ord(one) == DELETE), None)
    if odd is not None:
        raise ValueError(
            f"{value[:LONGEST]!a} holds the character U+{ord(odd):04X}, which no name of a "
            "folder should have. Take it out"
        )
    return value


Place = Annotated[str, AfterValidator(_names_a_place)]
"""A folder or URI."""
PathBelow = Annotated[str, AfterValidator(_without_control_characters)]
"""A path or pattern below a place."""


def silver_table(entity: str) -> str:
    """Return what queries and settings call the table of an entity's clean rows."""
    return f"silver.{entity}"
