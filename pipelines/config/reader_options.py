"""Options of the readers of landing files: those a source may set, and what they may say.

Each one allowed changes how a file's text is taken apart, and none lets a reader pass over files,
records or values without a finding.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from encodings.aliases import aliases

from pipelines.errors import nearest

_PARQUET = ("datetimeRebaseMode", "int96RebaseMode")
_SPELT = {
    "csv": (
        *("sep", "delimiter", "quote", "escape", "encoding", "charset", "lineSep", "comment"),
        *("nullValue", "ignoreLeadingWhiteSpace", "ignoreTrailingWhiteSpace", "multiLine"),
    ),
    "json": (),
    "parquet": _PARQUET,
}
_NAMES_OF_HOSTS = ("idna", "punycode")
_SET_BY_INGEST = (
    *("header", "mode", "columnNameOfCorruptRecord", "inferSchema", "enforceSchema", "path"),
    *("recursiveFileLookup", "mergeSchema", "maxFileAge", "basePath"),
)
_CALLED = {"separator": "sep", "quotechar": "quote", "escapechar": "escape", "newline": "lineSep"}
"""What other programs call options that there are."""
_INSTEAD = {
    "pathglobfilter": "Give a glob as the source's `path`",
    "emptyvalue": "Say with `null_values` of `clean` what means a missing value",
    "dateformat": "Bronze keeps text; say a column's `format` in `clean`",
    "timestampformat": "Bronze keeps text; say a column's `format` in `clean`",
    "timezone": "Bronze keeps text; say the zone in `clean`",
}


def check_options(kind: str, options: Mapping[str, str]) -> None:
    """Raise ValueError for an option that a source of this format can't set, or of no use."""
    allowed = {name.lower(): name for name in _SPELT[kind]}
    seen: dict[str, str] = {}
    for option in options:
        low = option.lower()
        if low in seen:
            raise ValueError(f"`options.{option}` and `options.{seen[low]}` are one; give it once")
        seen[low] = option
        if low in (name.lower() for name in _SET_BY_INGEST):
            raise ValueError(f"`options.{option}` is set by ingest itself; leave it out")
        if kind == "json" and low in ("multiline", "encoding", "charset", "linesep"):
            raise ValueError(
                "`format: json` reads one record a line in UTF-8; `multiLine`, `encoding` and "
                "`lineSep` don't go with it"
            )
        if low not in allowed:
            more = _INSTEAD.get(low, "It could lose or change rows without a finding, or does none")
            raise ValueError(
                f"`options.{option}` can't be set for `format: {kind}`; expected "
                f"{', '.join(_SPELT[kind]) or 'none at all'}. {more}; leave it out."
                f"{nearest(_CALLED.get(low, option), list(_SPELT[kind]))}"
            )
    if kind == "csv":
        _check_csv({option.lower(): value for option, value in options.items()})


def _check_csv(given: Mapping[str, str]) -> None:
    for one, same in (("sep", "delimiter"), ("encoding", "charset")):
        if one in given and same in given:
            raise ValueError(f"`options.{one}` and `options.{same}` are one; give it once")
    for name in ("ignoreleadingwhitespace", "ignoretrailingwhitespace", "multiline"):
        if given.get(name, "true").lower() not in ("true", "false"):
            raise ValueError(f"`options.{name}: {given[name]}`: expected true or false")
    if given.get("multiline", "true").lower() == "false":
        raise ValueError(
            "`options.multiLine: false` would cut values at their line breaks; a quoted field may "
            "hold them, leave the option out"
        )
    check_encoding(given.get("encoding", given.get("charset", "utf-8")))
    _check_letters(given)


def _check_letters(given: Mapping[str, str]) -> None:
    separator = unescaped(given.get("sep", given.get("delimiter", ",")))
    quote = unescaped(given.get("quote", '"'))
    escape, comment = unescaped(given.get("escape", "")), unescaped(given.get("comment", ""))
    if not separator:
        raise ValueError("`options.sep` is empty; expected the letters between fields")
    for name, letters in (("quote", quote), ("escape", escape), ("comment", comment)):
        if len(letters) > 1:
            raise ValueError(f"`options.{name}: {letters}`: expected one letter, or none")
    meant = {"sep": separator, "quote": quote, "escape": escape if escape != quote else ""}
    meant |= {"comment": comment}
    for name, letters in meant.items():
        if "\n" in letters or "\r" in letters or "\0" in letters:
            raise ValueError(f"`options.{name}` can't be a line end or a zero byte")
        same = [other for other, text in meant.items() if other != name and text == letters]
        if letters and same:
            raise ValueError(f"`options.{name}` and `options.{same[0]}` are both {letters!r}")
    if "linesep" in given and not given["linesep"]:
        raise ValueError("`options.lineSep` is empty; leave it out for LF, CRLF and CR")


def check_encoding(encoding: str) -> None:
    """Raise ValueError unless Python can read text of this encoding piece by piece."""
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"`options.encoding: {encoding}` is no known encoding; expected one as utf-8, utf-16, "
            f"cp1252, latin-1 or shift_jis.{nearest(encoding.lower(), sorted(aliases.values()))}"
        ) from error
    if not reads_text(info):
        raise ValueError(
            f"`options.encoding: {encoding}` is no encoding that text files are read in; expected "
            "one as utf-8, utf-16, cp1252, latin-1 or shift_jis"
        )


def reads_text(info: codecs.CodecInfo) -> bool:
    """Tell whether a codec gives back a little CSV file that comes byte by byte."""
    text = 'id,"x\n y"\r\n1,2\n'
    is_text = getattr(info, "_is_text_encoding", True) and info.name not in _NAMES_OF_HOSTS
    if not is_text or info.incrementaldecoder is None:
        return False
    try:
        decoder = info.incrementaldecoder("strict")
        content = info.encode(text)[0]
        parts = [decoder.decode(content[at : at + 1]) for at in range(len(content))]
        return "".join([*parts, decoder.decode(b"", True)]).removeprefix("\ufeff") == text
    except (UnicodeError, TypeError, ValueError):
        return False


def unescaped(letters: str) -> str:
    r"""Return an option's letters, in which `\t`, `\|` or `\u0001` may be spelt out."""
    names = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}

    def letter(match: re.Match[str]) -> str:
        return chr(int(match[1][1:], 16)) if len(match[1]) > 1 else names.get(match[1], match[1])

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", letter, letters)
