"""Labels before a training: are they what the loss takes, and what does a class weigh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.config.train import Train
from pipelines.errors import TrainingError
from pipelines.training.losses import label_range

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SHOWN = 5


def check_labels(rows: DataFrame, settings: Train, column: str = "_label") -> None:
    """Raise TrainingError for labels outside what the loss takes; one pass over one column.

    `rows` are a training set's, those of all splits.
    """
    from pyspark.sql import functions as F

    label = F.col(column).cast("double")
    if settings.task == "number":
        is_good = label.isNotNull() & ~F.isnan(label) & (F.abs(label) < float("inf"))
    else:
        highest = (settings.classes or 2) - 1
        is_good = (label == F.floor(label)) & label.between(0, highest)
    bad = rows.where(~F.coalesce(is_good, F.lit(False)))
    found = bad.groupBy(label.alias("value")).count().orderBy(F.desc("count"), "value")
    shown = found.limit(_SHOWN).collect()
    if shown:
        values = ", ".join(f"{row['value']} ({row['count']} rows)" for row in shown)
        raise TrainingError(
            f"the label (column `{column}` of the training set) has values out of range: {values}"
            f"{', ...' if len(shown) == _SHOWN else ''}. `train.loss: {settings.loss}` takes "
            f"{label_range(settings)}: mend the label in `featurize`, or take another loss."
        )


def class_counts(rows: DataFrame, column: str = "_label") -> dict[int, int]:
    """Return the rows of each class; `rows` are those of the training split."""
    found = rows.groupBy(column).count().collect()
    return {int(row[column]): int(row["count"]) for row in found}


def label_scale(rows: DataFrame, column: str = "_label") -> tuple[float, float]:
    """Return mean and standard deviation of the labels; `rows` are those of the training split."""
    from pyspark.sql import functions as F

    label = F.col(column).cast("double")
    row = rows.agg(F.avg(label), F.stddev_pop(label)).head()
    assert row is not None  # an aggregate without groups is one row
    return float(row[0] or 0.0), float(row[1] or 0.0)


def class_weights(settings: Train, counts: Mapping[int, int]) -> tuple[float, ...] | None:
    """Return each class's weight in the loss, or None where all rows count alike.

    `counts` are rows by class in the training split; only `balanced` looks at them: a class that
    has none weighs 1.
    """
    if settings.class_weights is None:
        return None
    classes = range(settings.classes or 2)
    if settings.class_weights != "balanced":
        given = settings.class_weights
        return tuple(float(given.get(one, 1.0)) for one in classes)
    rows = sum(counts.values())
    return tuple(rows / (len(classes) * counts[one]) if counts.get(one) else 1.0 for one in classes)
