"""What becomes of each row: kept, dropped, quarantined, superseded, or the batch is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pipelines.cleaning.casts import IS_DROPPED, IS_RELEASED, ORDER
from pipelines.config.clean import Rule
from pipelines.quality.rules import BROKEN, REASONS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FATE = "_fate"
_REPLACED = "_is_replaced"
FATES = ("kept", "dropped", "quarantined", "superseded", "refused")
"""`kept`: the newest good row of its key; `superseded`: a good row that came with it or before it
is newer, or a newer snapshot came; `refused`: breaks a rule of severity `fail` and no newer row
mends it."""

Snapshot = tuple[int, str]
"""Delivery time (microseconds since 1970, UTC) and file of a full snapshot."""


def is_of(snapshot: Snapshot) -> Column:
    """Return the condition that a row is of this snapshot."""
    at, file = snapshot
    return (F.unix_micros(ORDER[0]) == at) & (F.col(ORDER[1]) == file)


def decide_fates(
    df: DataFrame,
    key: Sequence[str],
    rules: Sequence[Rule] = (),
    only_snapshot: Snapshot | None = None,
) -> DataFrame:
    """Add `_fate`. Of several good rows with one key the one with the greatest order key is kept.

    A bad row never displaces a good one. With `only_snapshot`, rows of other files are not kept.
    A good row that a person put back (`_is_released`) takes the place of the delivered one, be that
    good by today's settings: they have one order key, and may have two keys.
    """
    from pyspark.sql import Window

    fails = [F.lit(rule.name) for rule in rules if rule.severity == "fail"]
    breaks_fail = F.arrays_overlap(BROKEN, F.array(*fails)) if fails else F.lit(False)
    is_current = F.lit(True) if only_snapshot is None else is_of(only_snapshot)
    is_good = ~F.col(IS_DROPPED) & (F.size(REASONS) == 0) & ~breaks_fail & is_current
    is_replaced = F.lit(False)
    if IS_RELEASED in df.columns:
        twins = F.max(is_good & F.col(IS_RELEASED)).over(Window.partitionBy(*ORDER))
        df = df.withColumn(_REPLACED, twins & ~F.col(IS_RELEASED))
        is_replaced = F.col(_REPLACED)
    newest_good_first = Window.partitionBy(*[F.col(f"`{name}`") for name in key]).orderBy(
        F.col("_is_good").desc(), *[F.col(name).desc() for name in ORDER]
    )
    ranked = df.withColumn("_is_good", is_good & ~is_replaced).withColumns(
        {
            "_rank": F.row_number().over(newest_good_first),
            # The order key of the best row; null where the key has no good row.
            "_best": F.first(F.when(F.col("_is_good"), F.struct(*ORDER))).over(newest_good_first),
        }
    )
    is_newer = F.coalesce(F.col("_best") > F.struct(*ORDER), F.lit(False))
    is_mended = is_newer | ~is_current | is_replaced
    fate = (
        F.when(F.col(IS_DROPPED), "dropped")
        .when(breaks_fail & ~is_mended, "refused")
        .when(F.size(REASONS) > 0, "quarantined")
        .when(F.col("_is_good") & (F.col("_rank") == 1), "kept")
        .otherwise("superseded")
    )
    return ranked.withColumn(FATE, fate).drop("_is_good", "_rank", "_best", _REPLACED)
