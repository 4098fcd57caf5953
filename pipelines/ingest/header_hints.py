"""What a header that has other names than the declared ones says of its file's form. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.config.ingest import Source

_BETWEEN = {";": "semicolons", "\t": "tabs", "|": "pipes", ",": "commas"}
# Ends of lines on other machines: of EBCDIC's files, of records, of lines and paragraphs.
_LINE_ENDS = "\x85\x1e\u2028\u2029"
_VALUE = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*")


def header_hint(header: Sequence[str], source: Source) -> str:
    r"""Return which setting would read a CSV file of this header; empty where nothing is seen.

    No name of the header is quoted: without a header they are values.

        a single name `id;name` where `id` is declared: names stand between semicolons
        `name\x851`: the line went on where another machine ends it
        `Umsatz in \x80`: a control letter where Windows has a euro sign
        `17`, `2024-12-31` and no declared name: the first line is a row
        `id`, and one without a name: labels of rows, as pandas and R write them
    """
    if len(header) == 1:
        for letter, called in _BETWEEN.items():
            names = [name.strip(" \"'") for name in header[0].split(letter)]
            if len(names) > 1 and _declared(names, source):
                return _stand_between(called)
    for letter in _LINE_ENDS:
        if any(letter in name for name in header):
            escape = f"\\x{ord(letter):02x}" if letter < "\u0100" else f"\\u{ord(letter):04x}"
            return (
                f"its lines seem to end with U+{ord(letter):04X}, which `options.lineSep` has to "
                f'say (`lineSep: "{escape}"`)'
            )
    if any(re.search("[\x80-\x9f]", name) for name in header):
        return "it looks like text of Windows, which `options.encoding: cp1252` reads"
    if _declared(header, source) and not header[0] and "" not in source.headers.values():
        return (
            "a column without a name, as pandas and R write labels of rows, needs one in `columns` "
            "and in `headers` (`{label: ''}`), or is left out when the file is written"
        )
    if not _declared(header, source) and any(_VALUE.fullmatch(name.strip()) for name in header):
        return "its first line looks like a row; files need the columns' names in a line before"
    return ""


def quoted_hint(field: str, quote: str) -> str:
    """Return the same of a header's text that goes on behind a name in quotes: `"id";"name"`."""
    behind = re.match(rf"{re.escape(quote)}[^{re.escape(quote)}]*{re.escape(quote)}(.)", field)
    called = _BETWEEN.get(behind[1]) if behind else None
    return _stand_between(called) if called else ""


def _stand_between(called: str) -> str:
    return f"its names stand between {called}, which `options.sep` has to say"


def _declared(names: Sequence[str], source: Source) -> bool:
    return bool(set(source.columns_of(names)) & set(source.columns))
