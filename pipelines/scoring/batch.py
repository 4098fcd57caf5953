"""From feature rows to prediction rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.features.spec import FeatureSpec
from pipelines.features.to_sql import check_raw_columns, to_sql
from pipelines.scoring.workers import ScoredInput, score_batches

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle

AUDIT_COLUMNS = ("run_id", "scored_at")
_ROWS_PER_TASK = 100_000


@dataclass(frozen=True)
class Provenance:
    """What every prediction row says of where it came from."""

    model_name: str
    model_version: int
    feature_table_version: int
    run_id: str
    scored_at: dt.datetime


def predict(
    features: DataFrame, bundle: Bundle, carried: Sequence[str], num_rows: int, batch_size: int
) -> DataFrame:
    """Return the `carried` columns and `prediction` (double) of each feature row, lazily.

    Raw features become model inputs by the bundle's own feature spec, in Spark; the model runs in
    vectorised batches on the executors. `num_rows` says how far to spread the work.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    spec = FeatureSpec.from_json(bundle.feature_spec)
    check_raw_columns(spec, features.schema)
    inputs = [ScoredInput(one.name, one.dtype) for one in spec.inputs]
    # A key column may also be a model input (carrier): each role gets a column of its own.
    roles = [F.col(name).alias(f"_key_{name}") for name in carried]
    selected = features.select(*roles, *[F.expr(expression) for expression in to_sql(spec)])
    tasks = max(1, -(-num_rows // _ROWS_PER_TASK))
    schema = T.StructType(
        [T.StructField(f"_key_{name}", features.schema[name].dataType) for name in carried]
        + [T.StructField("prediction", T.DoubleType())]
    )
    model = features.sparkSession.sparkContext.broadcast(bundle)
    names = [f"_key_{name}" for name in carried]

    def score(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return score_batches(batches, model, inputs, names, batch_size)

    scored = selected.coalesce(tasks).mapInArrow(score, schema)
    return scored.withColumnsRenamed({f"_key_{name}": name for name in carried})


def prediction_rows(
    scored: DataFrame,
    key: Sequence[str],
    date: str,
    threshold: float,
    provenance: Provenance,
    binary: bool = True,
) -> DataFrame:
    """Return rows of `predictions.<model>`.

    Binary models fill `prediction` (probability of class 1) and `predicted_class`; models of more
    classes will fill `probabilities` too, models of a number leave `predicted_class` null.
    """
    from pyspark.sql import functions as F

    predicted_class = (F.col("prediction") >= F.lit(threshold)).cast("int")
    others = list(dict.fromkeys([*key, date]))
    return scored.select(
        *others,
        F.col(date).alias("scoring_date"),
        "prediction",
        (predicted_class if binary else F.lit(None).cast("int")).alias("predicted_class"),
        F.lit(None).cast("array<double>").alias("probabilities"),
        F.lit(provenance.model_name).alias("model_name"),
        F.lit(provenance.model_version).cast("int").alias("model_version"),
        F.lit(provenance.feature_table_version).cast("bigint").alias("feature_table_version"),
        F.lit(provenance.run_id).alias("run_id"),
        F.lit(provenance.scored_at).alias("scored_at"),
    )
