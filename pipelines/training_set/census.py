"""Counting a features table once: rows by split, without a label, outside, and by hash bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.config.normalize import DateSplit, HashSplit
from pipelines.encoding.sql import as_double, present, quoted
from pipelines.errors import EmptySplit
from pipelines.training_set.layout import bucket
from pipelines.training_set.split import describe_split, split_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Columns:
    """Names of a features table's columns that are no features."""

    key: tuple[str, ...]
    date: str
    label: str

    @property
    def grain(self) -> tuple[str, ...]:
        """What makes a row one: key and date."""
        return tuple(dict.fromkeys([*self.key, self.date]))


@dataclass(frozen=True)
class Census:
    """How many rows are where. `unlabelled` rows lie in a split, `outside` ones in none."""

    num_rows: int
    num_unlabelled: int
    num_outside: int
    buckets: dict[str, dict[int, int]]
    """Rows with a label, by split and hash bucket; splits in the order they were asked for."""
    days: tuple[str, str] | None = None
    """First and last day of the table."""

    @property
    def by_split(self) -> dict[str, int]:
        """Rows of the training set in each split."""
        return {split: sum(counts.values()) for split, counts in self.buckets.items()}

    @property
    def num_labelled(self) -> int:
        """Rows of the training set."""
        return sum(self.by_split.values())

    def counts(self) -> dict[str, int]:
        """Return the counts a stage reports."""
        return {
            "rows_in": self.num_rows,
            "rows_unlabelled": self.num_unlabelled,
            **self.by_split,
            "outside": self.num_outside,
        }


def has_label(label: str) -> str:
    """Return the SQL condition that a row's label is known: neither null nor NaN."""
    return f"coalesce({present(as_double(label))}, false)"


def take_census(
    rows: DataFrame, columns: Columns, conditions: Mapping[str, str], bits: int
) -> Census:
    """Count the rows of a features table in one query over key, date and label."""
    in_training_set = "is_labelled AND split IS NOT NULL"
    counted = (
        rows.selectExpr(
            f"{split_name(conditions)} AS split",
            f"{has_label(columns.label)} AS is_labelled",
            f"{bucket(columns.grain, bits)} AS bucket",
            f"{quoted(columns.date)} AS day",
        )
        .withColumn("bucket", F.expr(f"CASE WHEN {in_training_set} THEN bucket END"))
        .groupBy("split", "is_labelled", "bucket")
        .agg(
            F.expr("count(1) AS num_rows"),
            F.expr("CAST(min(day) AS STRING) AS first_day"),
            F.expr("CAST(max(day) AS STRING) AS last_day"),
        )
        .collect()
    )
    buckets: dict[str, dict[int, int]] = {split: {} for split in conditions}
    unlabelled = outside = 0
    for row in counted:
        if row["split"] is None:
            outside += row["num_rows"]
        elif not row["is_labelled"]:
            unlabelled += row["num_rows"]
        else:
            buckets[row["split"]][row["bucket"]] = row["num_rows"]
    days = [day for row in counted for day in (row["first_day"], row["last_day"]) if day]
    return Census(
        num_rows=sum(row["num_rows"] for row in counted),
        num_unlabelled=unlabelled,
        num_outside=outside,
        buckets=buckets,
        days=(min(days), max(days)) if days else None,
    )


def refuse_empty_splits(census: Census, split: DateSplit | HashSplit, table: str) -> None:
    """Raise EmptySplit for the first split without rows, with what was found instead."""
    found = census.by_split
    for name, num_rows in found.items():
        if num_rows == 0:
            days = f"days {' to '.join(census.days)}" if census.days else "no rows at all"
            raise EmptySplit(
                f"the {name} split ({describe_split(split, name)}) has no rows with a label. "
                f"{table} holds {days}; found "
                + ", ".join(f"{each}: {count:,}" for each, count in found.items())
                + f", without a label: {census.num_unlabelled:,}, in no split: "
                f"{census.num_outside:,}. Bring the missing days through `ingest`, `clean` and "
                "`featurize`, or change `normalize.split`."
            )
