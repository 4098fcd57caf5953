"""Files whose columns are not those declared: what is found, and what a source makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipelines.config.column_names import column_name
from pipelines.config.ingest import Source
from pipelines.errors import SchemaDrift
from pipelines.ingest.files import LandingFile
from pipelines.ingest.header_hints import header_hint

COLUMNS_DIFFER = "columns differ from those declared: "
TYPES_DIFFER = "types differ from the table's: "

# Text is read as it is, so types are a matter of Parquet. Each type, and those it can hold.
_HOLDS = {
    "smallint": ("tinyint",),
    "int": ("tinyint", "smallint"),
    "bigint": ("tinyint", "smallint", "int"),
    "float": ("tinyint", "smallint"),
    "double": ("tinyint", "smallint", "int", "float"),
    "timestamp": ("date",),
}


class BadFile(Exception):
    """A finding about a file, no failure of the run: it is put aside, the message is the reason."""


def judged_header(header: Sequence[str], source: Source) -> tuple[str, ...] | str:
    """Return the column of each name in a header, or why a file that has it is put aside."""
    names = source.columns_of(header)
    try:
        judge_names(names, source)
    except BadFile as finding:
        hint = header_hint(header, source)
        return f"{finding}; {hint}" if hint else str(finding)
    return names


def judge_names(found: Sequence[str], source: Source) -> None:
    """Raise BadFile where a file's columns, in any order, are not what the source can take."""
    missing, extra = _unlike(found, source)
    counted = Counter(found)
    twice = sorted(name for name, times in counted.items() if times > 1)
    if source.schema_drift in ("add", "ignore"):
        findings = _unreadable(found, extra, source)
    else:
        findings = [f"missing {quoted(missing)}"] if missing else []
        findings += [f"not declared {quoted(extra)}"] if extra else []
    if twice:
        findings.append(f"more than once {quoted(twice)}")
    if findings:
        raise BadFile(COLUMNS_DIFFER + "; ".join(findings))


def _unlike(found: Sequence[str], source: Source) -> tuple[list[str], list[str]]:
    """Return the declared columns that are not there, and those there that are not declared."""
    there, declared = set(found), set(source.columns)
    missing = [name for name in source.columns if name not in there]
    return missing, [name for name in found if name not in declared]


def _unreadable(found: Sequence[str], extra: Sequence[str], source: Source) -> list[str]:
    """Return what keeps a file of other columns from being read as the source allows it."""
    findings = []
    if len(extra) == len(found):
        findings.append(f"none of them is there, only {quoted(extra)}")
    known = {name.lower() for name in source.columns}
    by_case = [name for name in extra if name.lower() in known]
    letters = Counter(name.lower() for name in dict.fromkeys(found))
    alike = [n for n in extra if letters[n.lower()] > 1 and n.lower() not in known]
    if alike:
        findings.append(f"alike but for capital letters {quoted(alike)}")
    if by_case:
        findings.append(f"not declared in these letters {quoted(by_case)}")
    bad = [name for name in extra if not _can_be_column(name)]
    if bad and source.schema_drift == "add":
        findings.append(f"new, and no name for a column {quoted(bad)}")
    return findings


def other_letters(names: Iterable[str], spelt: Mapping[str, str]) -> str:
    """Say which names are alike known ones but for capital letters, which Spark takes for one.

    `spelt` has each known name by itself in small letters. Nothing where all are spelt so.
    """
    other = [name for name in names if spelt.get(name.lower(), name) != name]
    return f"{COLUMNS_DIFFER}not in the table's letters {quoted(other)}" if other else ""


def tolerated(found: Sequence[str], source: Source) -> str:
    """Say what `judge_names` let pass in a file's columns; nothing where they are as declared."""
    missing, extra = _unlike(found, source)
    said = [f"no {quoted(missing)}, null in its rows"] if missing else []
    if extra:
        adds = source.schema_drift == "add"
        said.append(
            f"{quoted(extra)} taken into the table" if adds else f"{quoted(extra)} left out"
        )
    return "; ".join(said)


def _can_be_column(name: str) -> bool:
    return column_name(name) == name


def quoted(names: Iterable[str]) -> str:
    """List names for people, the first eight of them."""
    shown = [repr(name[:60]) for name in names]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return ", ".join(shown[:8]) + more


def different_types(
    found: Mapping[str, str], expected: Mapping[str, str], source: Source
) -> dict[str, str]:
    """Say of a Parquet file's columns which types don't go into the table's."""
    may_widen = source.schema_drift in ("add", "ignore")
    return {
        name: f"'{name}' is {kind}, expected {expected[name]}"
        for name, kind in found.items()
        if name in expected
        and kind != expected[name]
        and not (may_widen and kind in _HOLDS.get(expected[name], ()))
    }


def refuse_drift(name: str, source: Source, rejected: Mapping[LandingFile, str]) -> None:
    """Raise SchemaDrift where files were rejected for their columns."""
    drifted = {
        file.path: why
        for file, why in rejected.items()
        if why.startswith((COLUMNS_DIFFER, TYPES_DIFFER))
    }
    if not drifted:
        return
    said = "; ".join(f"{path}: {why}" for path, why in list(drifted.items())[:3])
    more = f"; and {len(drifted) - 3} more" if len(drifted) > 3 else ""
    raise SchemaDrift(
        f"{len(drifted)} new files of source '{name}' are not as declared: {said}{more}. Expected "
        f"the columns {quoted(source.columns)}, in any order. Nothing was written. Deliver them as "
        f"declared, or declare their columns, or say with `ingest.sources.{name}.schema_drift` "
        "what to do: `add` takes new columns into the table, `ignore` leaves them out (a missing "
        "column is null with either), `aside` puts such files aside and reads the others."
    )
