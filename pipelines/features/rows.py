"""What must hold for feature rows before they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.featurize import Featurize
from pipelines.errors import FeatureError, SchemaError, nearest
from pipelines.features.days import described
from pipelines.features.query import Span

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class RowCounts:
    """How many feature rows there are, on how many days, and how many have no label."""

    rows: int
    days: int
    without_label: int


def check_columns(schema: StructType, settings: Featurize) -> None:
    """Raise FeatureError unless the declared columns are there and every column has a type."""
    label = [settings.label] if settings.label else []
    names = schema.fieldNames()
    for name in [*settings.key, settings.date, settings.prediction_at, *label]:
        if name not in names:
            raise FeatureError(
                f"the feature rows lack the column '{name}', which `featurize` declares; they "
                f"have {names}.{nearest(name, names)}"
            )
    types = {field.name: field.dataType.simpleString() for field in schema}
    for name, wanted in ((settings.date, "date"), (settings.prediction_at, "timestamp")):
        if types[name] != wanted:
            raise FeatureError(
                f"the column '{name}' of the feature rows is of type {types[name]}; expected "
                f"{wanted}. Cast it in the query."
            )
    untyped = [name for name, kind in types.items() if kind == "void"]
    if untyped:
        raise FeatureError(
            f"the columns {untyped} of the feature rows are NULL without a type. Give them one in "
            "the query: CAST(NULL AS double)."
        )


def check_same_columns(new: StructType, existing: StructType, table: str, command: str) -> None:
    """Raise SchemaError where the columns of the rows and of the table they go into differ."""
    ours, theirs = (
        {field.name: field.dataType.simpleString() for field in schema}
        for schema in (new, existing)
    )
    differences = [
        *(f"'{name}' is new" for name in ours if name not in theirs),
        *(f"'{name}' is gone" for name in theirs if name not in ours),
        *(
            f"'{name}' is now {ours[name]}, was {kind}"
            for name, kind in theirs.items()
            if ours.get(name, kind) != kind
        ),
    ]
    if differences:
        raise SchemaError(
            f"the feature rows don't have the columns of {table}: {'; '.join(differences)}. A "
            "range of days can't change a table's columns: put the query back, or make the whole "
            f"table anew with `{command}` (no --date)."
        )


def check_rows(df: DataFrame, settings: Featurize, *spans: Span) -> RowCounts:
    """Count the rows; raise FeatureError for nulls in key, dates outside `spans`, repeated keys.

    The rows are computed for it: give them persisted if they are used again.
    """
    date, grain = F.col(settings.date), settings.grain
    is_incomplete = F.col(settings.prediction_at).isNull()
    for name in grain:
        is_incomplete |= F.col(name).isNull()
    is_outside = F.lit(True)
    for span in spans:
        is_outside &= ~date.between(F.lit(span.since), F.lit(span.until))
    label = F.col(settings.label) if settings.label else F.lit(None)
    by_key = df.groupBy(*grain).agg(
        F.count(F.lit(1)).alias("times"),
        F.count_if(label.isNull()).alias("without_label"),
        F.count_if(is_incomplete).alias("incomplete"),
        F.count_if(is_outside).alias("outside"),
    )
    found = by_key.agg(
        *(
            F.coalesce(F.sum(name), F.lit(0)).alias(name)
            for name in ("times", "without_label", "incomplete", "outside")
        ),
        F.count(F.lit(1)).alias("keys"),
        F.size(F.collect_set(date)).alias("days"),
    ).first()
    assert found is not None  # an aggregate without groups has one row
    if found["incomplete"]:
        example = _example(df.where(is_incomplete), settings)
        raise FeatureError(
            f"{found['incomplete']:,} feature rows have no value in the key, in "
            f"'{settings.date}' or in '{settings.prediction_at}': {example}. Leave such rows out "
            "in the query, or mend the column."
        )
    if found["outside"]:
        example = _example(df.where(is_outside), settings)
        asked = described((span.since, span.until) for span in spans)
        raise FeatureError(
            f"{found['outside']:,} feature rows are of days outside {asked}: "
            f"{example}. The query must keep to the days asked for: "
            f"{settings.date} BETWEEN :since AND :until."
        )
    if found["times"] > found["keys"]:
        (repeated,) = by_key.where("times > 1").select(*grain, "times").head(1)
        raise FeatureError(
            f"{found['times']:,} feature rows have only {found['keys']:,} different keys, for one "
            f"{_said(repeated)}; expected one row per key and date {grain}. A join that "
            "finds several matches repeats rows."
        )
    return RowCounts(found["times"], found["days"], found["without_label"])


def _example(df: DataFrame, settings: Featurize) -> str:
    columns = dict.fromkeys([*settings.grain, settings.prediction_at])
    (row,) = df.select(*columns).head(1)
    return _said(row)


def _said(row: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.asDict().items())
