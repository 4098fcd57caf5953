"""Which files of a batch can be read, in groups that agree in their header, and which can't."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipelines.config.ingest import Source
from pipelines.ingest.csv_census import Layout
from pipelines.ingest.drift import other_letters, tolerated
from pipelines.ingest.files import LandingFile


@dataclass(frozen=True)
class Sorted:
    """Files of a batch: those to read, in groups that agree in their header, and the bad ones.

    `columns` are what is read of them, with types: those declared, and new ones that are added.
    """

    groups: dict[tuple[str, ...], list[LandingFile]]
    rejected: dict[LandingFile, str]
    columns: dict[str, str]
    drifted: dict[LandingFile, str] = field(default_factory=dict)
    """What was let pass in the columns of files that can be read."""
    expected: Mapping[LandingFile, int] = field(default_factory=dict)
    """How many records a file holds, by a count that does not trust its reader."""
    layouts: Mapping[LandingFile, Layout] = field(default_factory=dict)
    """Of CSV files: all that their census found."""
    as_null: Mapping[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    """Columns of a group that hold nothing but nulls, and are of another type than the table's."""

    @property
    def files(self) -> list[LandingFile]:
        """The files to read."""
        return [file for group in self.groups.values() for file in group]

    def only(self, files: Collection[LandingFile]) -> Sorted:
        """Return the same with no files to read but these."""
        wanted = set(files)
        groups = {
            header: [file for file in group if file in wanted]
            for header, group in self.groups.items()
        }
        return replace(self, groups={header: group for header, group in groups.items() if group})

    def without(self, bad: Mapping[LandingFile, str]) -> Sorted:
        """Set files aside, each for its reason."""
        left = self.only([file for file in self.files if file not in bad])
        drifted = {file: said for file, said in self.drifted.items() if file not in bad}
        return replace(left, rejected={**self.rejected, **bad}, drifted=drifted)


def sort_by_header(
    files: Sequence[LandingFile], headers: Sequence[tuple[str, ...] | str], source: Source
) -> Sorted:
    """Group files that have the same header; a text instead of a header is a reason."""
    groups: defaultdict[tuple[str, ...], list[LandingFile]] = defaultdict(list)
    rejected, drifted = {}, {}
    for file, header in zip(files, headers, strict=True):
        if isinstance(header, str):
            rejected[file] = header
            continue
        groups[header].append(file)
        if source.format != "parquet" and (said := tolerated(header, source)):
            drifted[file] = said
    adds = source.schema_drift == "add"
    new = sorted({name for header in groups for name in header if adds} - set(source.columns))
    columns = dict.fromkeys((*source.columns, *new), "string")
    return Sorted(dict(groups), rejected, columns, drifted)


def without_other_letters(found: Sorted, there: Sequence[str]) -> Sorted:
    """Set aside files whose new columns are alike those of the table but for capital letters.

    Of Parquet `TypeSplit` sees to it. `there` are the table's and the settings' columns; files
    are gone through by name, the first one's letters count.
    """
    spelt = {name.lower(): name for name in there}
    groups, rejected = dict[tuple[str, ...], list[LandingFile]](), dict(found.rejected)
    for header, files in sorted(found.groups.items(), key=lambda group: group[1][0]):
        reason = other_letters(header, spelt)
        if reason:
            rejected.update(dict.fromkeys(files, reason))
        else:
            groups[header] = files
            spelt |= {name.lower(): name for name in header}
    names = {name for header in groups for name in header} | set(there)
    columns = {name: kind for name, kind in found.columns.items() if name in names}
    drifted = {file: said for file, said in found.drifted.items() if file not in rejected}
    return replace(found, groups=groups, rejected=rejected, columns=columns, drifted=drifted)


def without_names(found: Sorted, source: Source) -> Sorted:
    """Return the same, with no names but declared ones in what is said of files.

    The first line of a file without a header is taken for one: its names are values.
    """
    texts = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
    declared = {repr(name) for name in source.columns}

    def hidden(said: dict[LandingFile, str]) -> dict[LandingFile, str]:
        return {
            file: texts.sub(lambda one: one[0] if one[0] in declared else "(not shown)", text)
            for file, text in said.items()
        }

    return replace(found, rejected=hidden(found.rejected), drifted=hidden(found.drifted))
