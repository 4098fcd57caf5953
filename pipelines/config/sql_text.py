"""SQL of settings, as far as it can be judged without Spark: it reads no file and calls no Java.

A first look, for `validate`. What counts is `lake.confined_sql`, which looks at the tree that
Spark's parser makes of the text, when a stage runs.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_OUTSIDE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'      # texts, in either kind of quotes
    |"(?:[^"\\]|\\.|"")*"
    |--[^\n]*                     # comments
    |/\*.*?\*/
    """,
    re.VERBOSE | re.DOTALL,
)
_FILE = re.compile(
    r"\b(csv|json|parquet|orc|avro|text|xml|delta|binaryfile|image)\s*\.\s*`[^`]*`", re.IGNORECASE
)
_CALLS = re.compile(
    r"\b(reflect|java_method|try_reflect|read_files|read_kafka|input_file_name"
    r"|input_file_block_start|input_file_block_length|ai_query|http_request)\s*\(",
    re.IGNORECASE,
)
_READS = re.compile(
    r"\bselect\b.*\b(?:from|join)\s+(?!\(|values\b|range\s*\()([^\s()]+)", re.I | re.S
)


def refuse_files(text: str, what: str) -> None:
    """Raise ValueError for SQL that reads a file or calls Java; `what` says what it is."""
    bare = _OUTSIDE.sub(" ", text)
    file, call = _FILE.search(bare), _CALLS.search(bare)
    if file or call:
        found = file.group() if file else f"{call.group(1)}(...)" if call else ""
        raise ValueError(
            f"{what} has `{found}`: SQL in settings reads the tables that were declared for it, "
            "and no file, no other place, no Java method"
        )


def _expression(text: str) -> str:
    refuse_files(text, f"the SQL expression `{text.strip()[:80]}`")
    found = _READS.search(_OUTSIDE.sub(" ", text))
    if found:
        raise ValueError(
            f"the SQL expression `{text.strip()[:80]}` reads `{found[1]}`: an expression sees the "
            "columns of its own row alone, no table and no file"
        )
    return text


Expression = Annotated[str, AfterValidator(_expression)]
"""An SQL expression over the columns of one row."""
