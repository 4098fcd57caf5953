"""Which tables an SQL text reads, and the same text reading views instead.

Plain text in, plain text out: strings and comments are left alone, nothing is parsed further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pipelines.errors import FeatureError, nearest
from pipelines.lake.catalog import LAYERS

_FORMATS = ("delta", "parquet", "csv", "json", "orc", "text", "avro", "binaryfile")
_PART = r"(?:`\w+`|\w+)"
_TOKEN = re.compile(
    rf"""
    --[^\n]*                                    # a comment to the line's end
    | /\*.*?\*/
    | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*"     # strings
    | (?<![\w.:`])(?P<file>`?(?:{"|".join(_FORMATS)})`?\s*\.\s*`[^`]*`)
    | (?<![\w.:`])(?P<table>`?(?P<layer>{"|".join(LAYERS)})`?\s*\.\s*(?P<name>{_PART}))
    | (?<![\w.:`])(?P<word>{_PART})
    """,
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)


def view_name(table: str) -> str:
    """Return the name of the view that stands for a table: `silver__flights`."""
    return table.replace(".", "__")


def as_written(text: str, tables: Iterable[str]) -> str:
    """Return what Spark says of a query with the tables' names as the query has them."""
    for table in sorted(tables, key=len, reverse=True):
        text = text.replace(view_name(table), table)
    return text


def bind_tables(sql: str, readable: Iterable[str], where: str) -> str:
    """Return the text with each table's name replaced by that of its view.

    `where` names the text in errors. Raises FeatureError for a table that is not in `readable`
    and for files read by path: neither is read at a version this run resolved.
    """
    known = sorted(readable)

    def put(match: re.Match[str]) -> str:
        if match["file"]:
            raise FeatureError(
                f"{where} reads {match['file']}. Feature queries read tables by name only, at the "
                f"version this run resolved; expected one of {known}."
            )
        if not match["table"]:
            return match[0]
        table = f"{match['layer']}.{match['name']}".replace("`", "").lower()
        if table not in known:
            raise FeatureError(
                f"{where} reads {table}, which is not in `featurize.reads`; readable are {known}."
                f"{nearest(table, known)} Add it there with the time its rows are available, or "
                "take it out of the query."
            )
        return view_name(table)

    return _TOKEN.sub(put, sql)


def count_words(sql: str, words: Iterable[str]) -> Mapping[str, int]:
    """Return how often each of `words` stands in the text as a whole name, outside of strings."""
    wanted = {word.lower(): word for word in words}
    counts = dict.fromkeys(wanted.values(), 0)
    for match in _TOKEN.finditer(sql):
        word = (match["word"] or "").strip("`").lower()
        if word in wanted:
            counts[wanted[word]] += 1
    return counts
