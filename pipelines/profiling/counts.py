"""Counts of a table's columns, in few passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.profiling.facts import ColumnFacts, Counts

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

FEW = 1000
"""Different values of a column up to which all of them are counted."""
_SAMPLE = 2000
_AT_ONCE = 12
"""Columns of a pass: Java compiles no method that is too long."""
_WHITE = " \t\r\n\f\u00a0\ufeff"
_One = TypeVar("_One")


def _quoted(name: str) -> str:
    return f"`{name}`"


def text_of(column: ColumnFacts) -> SparkColumn:
    """Return a column's value as trimmed text; null where there is none."""
    from pyspark.sql import functions as F

    value = F.col(_quoted(column.name))
    if column.kind in ("double", "float"):
        value = F.when(~F.isnan(value), value)
    text = F.btrim(value.cast("string"), F.lit(_WHITE))
    return F.when(text != "", text)


def in_parts(columns: Sequence[_One]) -> Iterator[Sequence[_One]]:
    """Yield some columns at a time."""
    for start in range(0, len(columns), _AT_ONCE):
        yield columns[start : start + _AT_ONCE]


def counted(
    rows: DataFrame, columns: Sequence[ColumnFacts]
) -> tuple[list[ColumnFacts], dict[str, int]]:
    """Add what one aggregate says; return a number for each column that equal columns share."""
    from pyspark.sql import functions as F

    found: list[ColumnFacts] = []
    signs: dict[str, int] = {}
    for part in in_parts(columns):
        asked = []
        for place, one in enumerate(part):
            if one.is_nested:
                asked.append(F.count(_quoted(one.name)).alias(f"{place} present"))
                continue
            text = text_of(one)
            digits = text.rlike(r"\A0[0-9]+\z")
            hashed = F.pmod(F.xxhash64(text), F.lit(1_000_003))
            asked += [
                F.count(text).alias(f"{place} present"),
                F.approx_count_distinct(text, 0.02).alias(f"{place} distinct"),
                F.min(text).alias(f"{place} least"),
                F.max(text).alias(f"{place} largest"),
                F.max(F.length(text)).alias(f"{place} longest"),
                F.avg(F.length(text)).alias(f"{place} mean"),
                F.count_if(digits).alias(f"{place} zeros"),
                F.count_if(text.rlike(r"\A[0-9]{16,}\z")).alias(f"{place} digits"),
                F.sum(hashed).alias(f"{place} sign"),
            ]
        row = rows.agg(*asked).head()
        assert row is not None  # an aggregate without groups is one row
        for place, one in enumerate(part):
            found.append(_with_counts(one, row.asDict(), place))
            if not one.is_nested:
                signs[one.name] = row[f"{place} sign"] or 0
    return found, signs


def _with_counts(one: ColumnFacts, row: Mapping[str, Any], place: int) -> ColumnFacts:
    if one.is_nested:
        return replace(one, present=row[f"{place} present"])
    return replace(
        one,
        present=row[f"{place} present"],
        distinct=row[f"{place} distinct"],
        least=row[f"{place} least"],
        largest=row[f"{place} largest"],
        longest=row[f"{place} longest"] or 0,
        mean_length=row[f"{place} mean"] or 0.0,
        zeros_before=row[f"{place} zeros"],
        long_digits=row[f"{place} digits"],
    )


def with_values(rows: DataFrame, columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """Add all values of columns that have few; count others exactly where they may be a key."""
    from pyspark.sql import functions as F

    few = [one for one in columns if not one.is_nested and one.distinct <= FEW]
    values = values_of(rows, few, {one.name: text_of(one) for one in few})
    many = [
        one
        for one in columns
        if not one.is_nested and one not in few and one.distinct > 0.9 * one.present
    ]
    exact: dict[str, int] = {}
    for one in many:
        row = rows.agg(F.count_distinct(text_of(one))).head()
        exact[one.name] = row[0] if row else 0
    found = []
    for one in columns:
        if one.name in values:
            top = values[one.name]
            found.append(replace(one, top=top, distinct=len(top), is_exact=True))
        elif one.name in exact:
            found.append(replace(one, distinct=exact[one.name], is_exact=True))
        else:
            found.append(one)
    return found


def values_of(
    rows: DataFrame, columns: Sequence[ColumnFacts], texts: Mapping[str, SparkColumn]
) -> dict[str, Counts]:
    """Return the texts of some columns with their counts; of those that are null, none."""
    from pyspark.sql import functions as F

    found: dict[str, Counts] = {one.name: () for one in columns}
    for part in in_parts(columns):
        pairs = [
            F.struct(F.lit(place).alias("place"), texts[one.name].alias("text"))
            for place, one in enumerate(part)
        ]
        one_each = rows.select(F.explode(F.array(*pairs)).alias("_")).select("_.*")
        counted = one_each.where("text IS NOT NULL").groupBy("place", "text").count()
        by_place: dict[int, list[tuple[str, int]]] = {}
        for place, text, count in counted.collect():
            by_place.setdefault(place, []).append((text, count))
        for place, pairs_found in by_place.items():
            ordered = sorted(pairs_found, key=lambda pair: (-pair[1], pair[0]))
            found[part[place].name] = tuple(ordered)
    return found


def with_samples(rows: DataFrame, columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """Add some values of each column of texts: of rows spread over all of them."""
    from pyspark.sql import functions as F

    texts = [one for one in columns if one.is_text]
    if not texts:
        return list(columns)
    some = rows.orderBy(F.rand(seed=7)).limit(_SAMPLE)
    table = some.select(*[text_of(one).alias(str(n)) for n, one in enumerate(texts)]).collect()
    samples = {
        one.name: tuple(row[n] for row in table if row[n] is not None)
        for n, one in enumerate(texts)
    }
    return [replace(one, sample=samples.get(one.name, ())) for one in columns]


def same_columns(
    rows: DataFrame, columns: Sequence[ColumnFacts], signs: Mapping[str, int]
) -> dict[str, str]:
    """Return, for a column, an earlier one that holds the same in every row."""
    from pyspark.sql import functions as F

    alike: dict[tuple[int, int], list[ColumnFacts]] = {}
    for one in columns:
        if not one.is_nested and one.present and not one.is_constant:
            alike.setdefault((signs[one.name], one.present), []).append(one)
    pairs = [(group[0], other) for group in alike.values() for other in group[1:]]
    if not pairs:
        return {}
    unlike = [
        F.count_if(~text_of(first).eqNullSafe(text_of(other))).alias(str(n))
        for n, (first, other) in enumerate(pairs)
    ]
    row = rows.agg(*unlike).head()
    assert row is not None  # an aggregate without groups is one row
    return {other.name: first.name for n, (first, other) in enumerate(pairs) if row[n] == 0}
