"""Types of Parquet columns as SQL, with the names inside of them that a table can hold."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pipelines.config.column_names import nested_name
from pipelines.encoding.sql import quoted as in_backticks
from pipelines.ingest.drift import COLUMNS_DIFFER, BadFile, quoted

if TYPE_CHECKING:
    from pyspark.sql.types import DataType

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def held(column: str, kind: DataType) -> str:
    """Return a column's type as SQL; names inside of structs follow the rule for columns.

    A cast to it leaves the values as they are: fields of structs are cast by their place.

    Raises:
        BadFile: Two fields of one struct would have one name, but for capital letters.
    """
    from pyspark.sql.types import ArrayType, MapType, StructType

    match kind:
        case StructType():
            names = [nested_name(name, place) for place, name in enumerate(kind.names, 1)]
            letters = Counter(name.lower() for name in names)
            both = zip(kind.names, names, strict=True)
            if alike := [name for name, made in both if letters[made.lower()] > 1]:
                raise BadFile(f"{COLUMNS_DIFFER}one name for several in '{column}' {quoted(alike)}")
            inside = [held(column, field.dataType) for field in kind.fields]
            fields = (f"{_spelt(n)}:{one}" for n, one in zip(names, inside, strict=True))
            return f"struct<{','.join(fields)}>"
        case ArrayType():
            return f"array<{held(column, kind.elementType)}>"
        case MapType():
            return f"map<{held(column, kind.keyType)},{held(column, kind.valueType)}>"
        case _:
            return kind.simpleString()


def _spelt(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else in_backticks(name)
