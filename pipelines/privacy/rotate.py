"""Rotation: pseudonyms of older keys become such of the newest, in every table that holds some."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import replace_slice
from pipelines.privacy.hashing import keyed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipelines.lake.catalog import Lake

logger = logging.getLogger(__name__)


def rotate_tables(
    spark: SparkSession, lake: Lake, tables: Iterable[str], key_ids: Sequence[str]
) -> dict[str, int]:
    """Rewrite the tables that hold pseudonyms of other keys than the last; return rows changed.

    Each pseudonym says its key, so a rotation that was killed goes on where it stopped. No clear
    value is needed, and values of other kinds stay what they are.
    """
    changed = {}
    for table in tables:
        rows = read_at(spark, lake, table, latest_version(spark, lake, table))
        old = {name: _is_old(name, key_ids) for name in _texts(rows)}
        if not old:
            continue
        count = rows.where(reduce(or_, old.values())).count()
        if count:
            logger.info("%s: %d rows have pseudonyms of older keys", table, count)
            newer = rows.withColumns({n: _renewed(n, key_ids, is_old) for n, is_old in old.items()})
            replace_slice(newer, lake, table, "true", _partitions(spark, lake, table))
            changed[table] = count
    return changed


def _texts(rows: DataFrame) -> list[str]:
    return [field.name for field in rows.schema if field.dataType.typeName() == "string"]


def _is_old(name: str, key_ids: Sequence[str]) -> Column:
    from pyspark.sql import functions as F

    older = "|".join(key_ids[:-1])
    return F.coalesce(F.col(f"`{name}`").rlike(f"^({older}):[0-9a-f]{{64}}$"), F.lit(False))


def _renewed(name: str, key_ids: Sequence[str], is_old: Column) -> Column:
    from pyspark.sql import functions as F

    text = F.col(f"`{name}`")
    return F.when(is_old, keyed(text, key_ids)).otherwise(text)


def _partitions(spark: SparkSession, lake: Lake, table: str) -> list[str]:
    from delta.tables import DeltaTable

    row = DeltaTable.forPath(spark, lake.path(table)).detail().select("partitionColumns").head()
    return list(row["partitionColumns"]) if row else []
