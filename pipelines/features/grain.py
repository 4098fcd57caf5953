"""The grain: what makes a row one. Every join of features, labels and predictions goes by it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Literal

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

How = Literal["inner", "left", "left_anti", "left_semi"]
_THEIRS = "_theirs_{}"


def joined(ours: DataFrame, theirs: DataFrame, grain: Sequence[str], how: How) -> DataFrame:
    """Join two tables whose rows have the same name, nulls and NaNs of it being equal.

    The grain's columns come once, those of `ours`; other columns must have different names.
    """
    renamed = {name: _THEIRS.format(name) for name in grain}
    same = [F.col(f"`{name}`").eqNullSafe(F.col(f"`{other}`")) for name, other in renamed.items()]
    both = ours.join(
        theirs.withColumnsRenamed(renamed), on=reduce(lambda a, b: a & b, same), how=how
    )
    return both.drop(*renamed.values())


def by_feature_date(predictions: DataFrame, date: str) -> DataFrame:
    """Return predictions with the features' `date` column, by which they join with features.

    It is their `scoring_date`; tables of older releases may lack it under its own name.
    """
    return predictions.withColumn(date, F.col("scoring_date"))
