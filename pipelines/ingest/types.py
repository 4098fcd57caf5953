"""Parquet files bring their types along: they must be those of the table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.ingest.drift import (
    TYPES_DIFFER,
    BadFile,
    different_types,
    other_letters,
    tolerated,
)
from pipelines.ingest.files import LandingFile
from pipelines.ingest.nested_types import held
from pipelines.ingest.parquet_footers import (
    Footers,
    is_pandas_index,
    nanosecond_columns,
)
from pipelines.ingest.parquet_records import open_parquet
from pipelines.ingest.sorting import Sorted
from pipelines.ingest.unreadable import is_failed_read, reason_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

LIST = "array<int>"
"""The type that Spark gives to lists of values without one, such as pandas' of nothing but None."""
NULLS, HOLLOW, VALUES = "nulls", "lists of nulls", "values"
# Said by a task, and so no analysis that fails: BigQuery's BIGNUMERIC has 76 digits.
_TOO_WIDE = re.compile(r"Decimal precision \d+ exceeds max precision \d+")
_NESTED = ("array<", "struct<", "map<")
_Header = tuple[str, ...]


@dataclass(frozen=True)
class _Alike:
    """Files of one schema, what is to be read of them, and what is said of their columns."""

    header: _Header
    files: list[LandingFile]
    types: dict[str, str]
    said: str


class TypeSplit:
    """Sets aside files whose column types don't go into the table's.

    A column that the table does not have yet gets the type of the first file, by name, that has a
    value in it: a column of nulls alone says nothing, whatever type it has, and goes into any.
    Columns in `protected` are text in the table, whatever they are in files.
    """

    def __init__(
        self,
        spark: SparkSession,
        source: Source,
        stored: StructType | None,
        protected: Collection[str] = (),
    ) -> None:
        self._spark = spark
        self._source = source
        self._protected = protected
        self._footers = Footers(spark, source)
        self._expected = {one.name: held(one.name, one.dataType) for one in stored or ()}
        self._wanted: set[str] = set()
        self._holds: dict[tuple[LandingFile, str], str] = {}

    def split(self, found: Sorted) -> Sorted:
        """Return which files can be read, and how, and which are put aside."""
        rejected, drifted = dict(found.rejected), dict[LandingFile, str]()
        alike: list[_Alike] = []
        self._wanted = set(self._source.columns)
        for header, files in sorted(found.groups.items(), key=lambda group: group[1][0]):
            one = self._alike(header, files)
            if isinstance(one, str):
                rejected.update(dict.fromkeys(files, one))
                continue
            # A file that is put aside teaches no type.
            judged = self._judge(one)
            rejected.update({file: reason for file, (_, reason) in judged.items() if reason})
            one.files[:] = [file for file, (_, reason) in judged.items() if not reason]
            self._learn(one)
            alike.append(one)
        groups: dict[_Header, list[LandingFile]] = {}
        as_null: dict[_Header, frozenset[str]] = {}
        for one in alike:
            # A later file may have brought the type of what is null here.
            for file, (nulls, reason) in self._judge(one, is_last=True).items():
                if reason:
                    rejected[file] = reason
                    continue
                key = (*one.header, *sorted(f"null {name}" for name in nulls))
                groups.setdefault(key, []).append(file)
                as_null[key] = nulls
                drifted.update({file: one.said} if one.said else {})
        return replace(
            found,
            groups=groups,
            rejected=rejected,
            columns=self._columns(),
            drifted=drifted,
            as_null=as_null,
        )

    def _columns(self) -> dict[str, str]:
        # A column that no file and no table has is of no known type: it is left for a later file.
        names = dict.fromkeys((*self._source.columns, *sorted(self._wanted)))
        return {name: self._expected[name] for name in names if name in self._expected}

    def _alike(self, header: _Header, files: Sequence[LandingFile]) -> _Alike | str:
        """Return what is to be read of files of one schema, or why they are put aside."""
        types = self._types(header, files)
        if isinstance(types, str):
            return types
        said = [tolerated([n for n in types if not is_pandas_index(n)], self._source)]
        said += ["row labels of pandas left out"] if any(map(is_pandas_index, types)) else []
        types = self._taken(types, self._wanted)
        spelt = {n.lower(): n for n in (*self._source.columns, *self._expected)}
        if reason := other_letters(types, spelt):
            return reason
        return _Alike(header, list(files), types, "; ".join(filter(None, said)))

    def _taken(self, types: Mapping[str, str], wanted: Collection[str]) -> dict[str, str]:
        adds = self._source.schema_drift == "add"
        return {
            name: kind
            for name, kind in types.items()
            if name in wanted or (adds and not is_pandas_index(name))
        }

    def _types(self, header: _Header, files: Sequence[LandingFile]) -> dict[str, str] | str:
        """Return the types of a group's columns, or why it can't be read."""
        from pyspark.errors import AnalysisException

        try:
            schema = open_parquet(self._spark, files[:1], self._source).schema
        except Exception as error:
            if too_wide := _TOO_WIDE.search(str(error)):
                return f"a type that can't be read: {too_wide[0]}"
            if is_failed_read(error):
                return reason_of(error)
            if not isinstance(error, AnalysisException):
                raise
            return f"a type that can't be read: {str(error).splitlines()[0][:200]}"
        try:
            types = {one.name: held(one.name, one.dataType) for one in schema}
        except BadFile as finding:
            return str(finding)
        for name, is_utc in nanosecond_columns(header).items():
            types[name] = "timestamp" if is_utc else "timestamp_ntz"
        return types | {name: "string" for name in self._protected if name in types}

    def _learn(self, alike: _Alike) -> None:
        """Take the types of columns that have none yet, where some file has a value."""
        self._wanted.update(alike.types if alike.files else ())
        left, size = alike.files, 1
        while left and (unknown := self._unknown(alike.types)):
            # Most often the first file knows; where it does not, many may not.
            some, left, size = left[:size], left[size:], size * 8
            self._look(some, unknown)
            for name, kind in unknown.items():
                if any(self._holds[file, name] == VALUES for file in some):
                    self._expected[name] = kind

    def _unknown(self, types: Mapping[str, str]) -> dict[str, str]:
        return {name: kind for name, kind in types.items() if name not in self._expected}

    def _judge(
        self, alike: _Alike, *, is_last: bool = False
    ) -> dict[LandingFile, tuple[frozenset[str], str]]:
        """Return the columns to read as nulls, since nothing else is in them, or a reason."""
        types = alike.types
        known = {n: kind for n, kind in types.items() if n in self._expected}
        different = different_types(known, self._expected, self._source)
        self._look(alike.files, {name: types[name] for name in different})
        # What no file has taught was looked at in all of them.
        unknown = self._unknown(types) if is_last else {}
        judged = {}
        for file in alike.files:
            wrong = [said for name, said in different.items() if self._holds[file, name] != NULLS]
            wrong += [
                f"'{name}' has lists of nothing but nulls, whose type is not known yet"
                for name in unknown
                if self._holds[file, name] == HOLLOW
            ]
            reason = TYPES_DIFFER + "; ".join(wrong) if wrong else ""
            judged[file] = frozenset(different), reason
        return judged

    def _look(self, files: Sequence[LandingFile], types: Mapping[str, str]) -> None:
        """Find what columns hold: nulls alone, lists of nulls, or values."""
        simple = {n: k for n, k in types.items() if k == LIST or not k.startswith(_NESTED)}
        self._holds |= {(file, n): VALUES for file in files for n in types.keys() - simple.keys()}
        new = [file for file in files if any((file, name) not in self._holds for name in simple)]
        unsaid: set[str] = set()
        open_files = []
        for file, found in zip(new, self._footers.without_values(new, simple), strict=True):
            empty, left = found
            self._holds |= {
                (file, n): NULLS if n in empty and k != LIST else VALUES for n, k in simple.items()
            }
            unsaid |= left
            open_files += [file] if left else []
        if unsaid:
            self._count(open_files, {name: simple[name] for name in unsaid})

    def _count(self, files: Sequence[LandingFile], types: Mapping[str, str]) -> None:
        """Find what columns hold by reading them, of all files in one Spark job."""
        inside = {
            name: F.exists(f"`{name}`", lambda one: one.isNotNull())
            if kind == LIST
            else F.col(f"`{name}`").isNotNull()
            for name, kind in types.items()
        }
        there = [F.count(f"`{name}`").alias(f"there {name}") for name in types]
        full = [F.count_if(one).alias(f"full {name}") for name, one in inside.items()]
        by_link = F.col("_metadata.file_path").alias("link")
        rows = open_parquet(self._spark, files, self._source)
        try:
            found = rows.groupBy(by_link).agg(*there, *full).collect()
        except Exception as error:
            if not is_failed_read(error):
                raise
            return  # The bad one is put aside when it is read whole; a type is not learned by it.
        counts = {row["link"]: row for row in found}
        for file in files:
            row = next((counts[link] for link in file.links if link in counts), None)
            for name in types:
                is_there = row is not None and row[f"there {name}"] > 0
                is_full = row is not None and row[f"full {name}"] > 0
                self._holds[file, name] = VALUES if is_full else HOLLOW if is_there else NULLS
