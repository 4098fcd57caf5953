"""Which rows are a subject's.

The values stand in a tiny frame that tables are joined with, never in a condition: conditions are
kept in plans, event logs and Delta's log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.cleaning.casts import ORDER, RAW, raw_columns
from pipelines.cleaning.treat import type_rows
from pipelines.config import Pipeline
from pipelines.config.clean import Entity
from pipelines.erasure.subject import Subject
from pipelines.errors import SchemaError, SettingsError
from pipelines.lake.tables import DELIVERED, bronze, is_rejected, quarantine, silver
from pipelines.privacy.protect import Protection, protect

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

FILE = "_erasure_file"


@dataclass(frozen=True)
class Search:
    """How a table is searched: by the key's `columns` there, by typed rows, or in raw lines."""

    subject: Subject
    columns: tuple[str, ...] = ()
    entities: dict[str, Entity] = field(default_factory=dict)
    protection: Protection | None = None
    raw: bool = False
    zone: str = "UTC"
    """Of times without an offset, where typed rows are looked at."""

    @property
    def is_possible(self) -> bool:
        """Whether the table has what the key names."""
        return bool(self.columns or self.entities or self.raw)


def search_for(table: str, names: Sequence[str], pipeline: Pipeline, subject: Subject) -> Search:
    """Return how a table with the columns `names` is searched for a subject."""
    # A training set whose input has a key's name has the key as `_key_<name>`.
    own = tuple(f"_key_{one}" if f"_key_{one}" in names else one for one in subject.columns)
    direct = own if set(own) <= set(names) else ()
    if not set(DELIVERED) <= set(names):
        return Search(subject, direct, raw="raw" in names and is_rejected(table))
    entities = {
        entity_name: entity
        for entity_name, entity in pipeline.clean.entities.items()
        if table in map(str, (bronze(entity.source), silver(entity_name), quarantine(entity_name)))
        and set(subject.columns) <= {*entity.columns, *entity.derive}
    }
    sources = {entity.source for entity in entities.values()}
    if not sources:
        return Search(subject, direct, entities)
    source = sources.pop()
    protection, zone = Protection.of(pipeline, source), pipeline.zone_of(source)
    return Search(subject, direct, entities, protection, zone=zone)


def wanted(spark: SparkSession, subject: Subject) -> DataFrame:
    """Return one row: `_texts_<n>`, array of texts, and `_pattern_<n>` for each key column."""
    schema, row = T.StructType(), []
    for place, column in enumerate(subject.columns):
        schema = schema.add(f"_texts_{place}", T.ArrayType(T.StringType()))
        schema = schema.add(f"_pattern_{place}", T.StringType())
        row += [[_plain(text) for text in subject.texts[column]], subject.pattern(column)]
    return spark.createDataFrame([tuple(row)], schema)


def holds(search: Search, columns: Sequence[str], target: str = "", source: str = "") -> Column:
    """Return the condition that a row is the subject's, over it and the row of `wanted`.

    `columns` are the key's in these rows. Both rows may have a prefix, as `target.`.
    """
    if search.raw:
        found = [
            F.coalesce(F.rlike(F.col(f"{target}raw"), F.col(f"{source}_pattern_{n}")), F.lit(False))
            for n, _ in enumerate(search.subject.columns)
        ]
    else:
        found = [
            F.coalesce(
                F.array_contains(F.col(f"{source}_texts_{n}"), _text(f"{target}`{name}`")),
                F.lit(False),
            )
            for n, name in enumerate(columns)
        ]
    return reduce(and_, found)


def found_directly(df: DataFrame, search: Search) -> DataFrame | None:
    """Return the subject's rows by columns of the key's names or raw lines, all columns kept."""
    if not (search.columns or search.raw) or not set(search.columns) <= set(df.columns):
        return None
    values = F.broadcast(wanted(df.sparkSession, search.subject))
    rows = df.join(values, holds(search, search.columns))
    return rows.select(*(F.col(f"`{name}`") for name in df.columns))


def found_typed(df: DataFrame, search: Search) -> list[DataFrame]:
    """Return the subject's rows of a bronze or quarantine frame, as `clean` would read them.

    Columns are `DELIVERED` and, where the frame has it, `FILE`. So a key is found under other
    names, in other formats, and where it is derived.
    """
    found = []
    for name, entity in search.entities.items():
        try:
            typed = type_rows(protect(df, search.protection), name, entity, search.zone)
        except (SchemaError, SettingsError):  # files of an older schema lack its columns
            continue
        values = F.broadcast(wanted(df.sparkSession, search.subject))
        rows = typed.join(values, holds(search, search.subject.columns))
        file = [F.col(f"{RAW}.{FILE}").alias(FILE)] if FILE in raw_columns(df) else []
        names = dict(zip(ORDER, ("_source_modified_at", "_source_file", "_row"), strict=True))
        found.append(rows.select(*(F.col(a).alias(b) for a, b in names.items()), *file))
    return found


def _text(name: str) -> Column:
    return F.regexp_replace(F.btrim(F.col(name).cast("string")), r"^(-?\d+)\.0+$", "$1")


def _plain(text: str) -> str:
    import re

    return re.sub(r"^(-?\d+)\.0+$", r"\1", text.strip())
