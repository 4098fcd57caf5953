"""Rotation: pseudonyms of older keys become such of the newest, in every table that holds some."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.lake.commit import commit
from pipelines.lake.merge import same
from pipelines.lake.read import latest_version, read_at
from pipelines.privacy.hashing import keyed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipelines.lake.catalog import Lake

logger = logging.getLogger(__name__)


def rotate_tables(
    spark: SparkSession, lake: Lake, tables: Iterable[str], key_ids: Sequence[str]
) -> dict[str, int]:
    """Bring pseudonyms of other keys than the last to it, table by table; return rows changed.

    Each pseudonym says its key, so a rotation that was killed goes on where it stopped. No clear
    value is needed, values of other kinds stay what they are, and so do rows that another run
    appends meanwhile: the next rotation finds them. Raises CommitConflict as `commit` does.
    """
    changed = {}
    for table in tables:
        count = commit(spark, lake, table, partial(_rotate, spark, lake, table, key_ids))
        if count:
            logger.info("%s: %d rows had pseudonyms of older keys", table, count)
            changed[table] = count
    return changed


def _rotate(spark: SparkSession, lake: Lake, table: str, key_ids: Sequence[str]) -> int:
    """Merge old pseudonyms' successors into a table, in one commit; return rows changed."""
    from delta.tables import DeltaTable

    rows = read_at(spark, lake, table, latest_version(spark, lake, table))
    old = _with_old(rows, key_ids)
    if not old:
        return 0
    # No UPDATE: Spark refuses `reflect` there. Rows are told apart by nothing but what changes.
    found = rows.where(reduce(or_, [_is_old(name, key_ids) for name in old]))
    renewed = {f"_new_{n}": _renewed(name, key_ids) for n, name in enumerate(old)}
    source = found.select(*[F.col(f"`{name}`") for name in old]).distinct().withColumns(renewed)
    target = DeltaTable.forPath(spark, lake.path(table)).alias("target")
    merge = target.merge(source.alias("source"), same("source", "target", old))
    values: dict[str, str | Column] = {
        f"`{name}`": f"source.`_new_{n}`" for n, name in enumerate(old)
    }
    done = merge.whenMatchedUpdate(set=values).execute().head()
    assert done is not None  # a merge answers with one row of numbers
    return int(done["num_updated_rows"])


def _with_old(rows: DataFrame, key_ids: Sequence[str]) -> list[str]:
    """Return the columns that hold pseudonyms of older keys."""
    texts = [one.name for one in rows.schema.fields if one.dataType.typeName() == "string"]
    if not texts:
        return []
    holds = [F.bool_or(_is_old(name, key_ids)) for name in texts]
    found = rows.agg(*holds).head()
    assert found is not None  # an aggregate without groups is one row
    return [name for name, has_some in zip(texts, found, strict=True) if has_some]


def _is_old(name: str, key_ids: Sequence[str]) -> Column:
    older = "|".join(key_ids[:-1])
    return F.coalesce(F.col(f"`{name}`").rlike(f"^({older}):[0-9a-f]{{64}}$"), F.lit(False))


def _renewed(name: str, key_ids: Sequence[str]) -> Column:
    text = F.col(f"`{name}`")
    return F.when(_is_old(name, key_ids), keyed(text, key_ids)).otherwise(text)
