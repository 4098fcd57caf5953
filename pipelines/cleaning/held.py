"""Whether the tables hold what a batch was to bring: counted there, not taken from its own sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.errors import LakeError
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import read_at

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def check_held(
    rows: DataFrame,
    lake: Lake,
    table: Table | str,
    version: int,
    key: Sequence[str],
    prune: str | None = None,
) -> None:
    """Raise LakeError unless the table holds the key of every row, and each once.

    `prune` is a condition over `target` that the keys of all rows fulfil.
    """
    columns = [F.col(f"`{name}`") for name in key]
    there = read_at(rows.sparkSession, lake, table, version).alias("target")
    there = there.where(prune) if prune else there
    counted = there.select(*columns).groupBy(*columns).agg(F.count(F.lit(1)).alias("_times"))
    agrees = F.lit(True)
    for name in key:
        agrees &= F.col(f"wanted.`{name}`").eqNullSafe(F.col(f"held.`{name}`"))
    found = (
        rows.select(*columns)
        .alias("wanted")
        .join(counted.alias("held"), agrees, "left")
        .agg(F.count_if(F.col("_times").isNull()), F.count_if(F.col("_times") > 1))
        .head()
    )
    assert found is not None  # an aggregate without groups is one row
    lost, doubled = found
    if lost or doubled:
        raise LakeError(
            f"{table}@{version} does not hold what clean brought: of {lost:,} rows the key is "
            f"missing, of {doubled:,} it is there several times; expected each once. Progress was "
            "not moved on. Run clean again; if it says the same, move the table away and clean "
            "bronze anew."
        )
