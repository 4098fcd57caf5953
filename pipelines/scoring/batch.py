"""From feature rows to prediction rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.config.losses import Task
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.to_sql import check_raw_columns, to_sql
from pipelines.scoring.workers import OUTPUTS, REASONS, Job, ScoredInput, model_key, score_batches

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from pipelines.registry.bundle import Bundle

_ROWS_PER_TASK = 100_000


@dataclass(frozen=True)
class Provenance:
    """What every prediction row says of where it came from."""

    model_name: str
    model_version: int
    feature_table_version: int
    run_id: str
    scored_at: dt.datetime


_REASON = T.StructType(
    [T.StructField("column", T.StringType()), T.StructField("contribution", T.DoubleType())]
)
_REASON_TYPES = (T.ArrayType(_REASON), T.DoubleType(), T.DoubleType(), T.DoubleType())


def predict(
    features: DataFrame,
    bundle: Bundle,
    carried: Sequence[str],
    num_rows: int,
    batch_size: int,
    explain: int | None = None,
) -> DataFrame:
    """Return the `carried` columns and `_outputs` (array of double) of each feature row, lazily.

    With `explain`, also the columns of `REASONS`, which tell of so many raw columns a row.

    Raw features become model inputs by the bundle's own feature spec, in Spark; the model runs in
    vectorised batches on the executors. `num_rows` says how far to spread the work.
    """
    spec = FeatureSpec.from_json(bundle.feature_spec)
    check_raw_columns(spec, features.schema)
    # A key column may also be a model input (carrier): each role gets a column of its own.
    roles = [F.col(name).alias(f"_key_{name}") for name in carried]
    selected = features.select(*roles, *[F.expr(expression) for expression in to_sql(spec)])
    tasks = max(1, -(-num_rows // _ROWS_PER_TASK))
    schema = T.StructType(
        [T.StructField(f"_key_{name}", features.schema[name].dataType) for name in carried]
        + [T.StructField(OUTPUTS, T.ArrayType(T.DoubleType()))]
        + [
            T.StructField(name, kind)
            for name, kind in zip(REASONS, _REASON_TYPES, strict=True)
            if explain is not None
        ]
    )
    model = features.sparkSession.sparkContext.broadcast(bundle)
    job = Job(
        inputs=tuple(ScoredInput(one.name, one.dtype, one.kind, one.shape) for one in spec.inputs),
        carried=tuple(f"_key_{name}" for name in carried),
        batch_size=batch_size,
        model_key=model_key(bundle),
        explain=explain,
    )

    def score(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return score_batches(batches, model, job)

    scored = selected.coalesce(tasks).mapInArrow(score, schema)
    return scored.withColumnsRenamed({f"_key_{name}": name for name in carried})


def prediction_rows(
    scored: DataFrame,
    key: Sequence[str],
    date: str,
    threshold: float,
    provenance: Provenance,
    task: Task = "binary",
    names: Sequence[str] | None = None,
) -> DataFrame:
    """Return rows of `predictions.<model>` from what `predict` gives.

    Binary models fill `prediction` (probability of class 1) and `predicted_class`; models of more
    classes `predicted_class` (the likeliest, the first of equals), `prediction` (its probability)
    and `probabilities`; models of a number `prediction` alone. `predicted_label` is what `names`,
    from class 0 on, call the predicted class, by default its number. Reasons are handed on where
    there are any.
    """
    outputs = F.col(OUTPUTS)
    prediction = F.array_max(outputs) if task == "classes" else F.get(outputs, F.lit(0))
    if task == "binary":
        predicted_class = (prediction >= F.lit(threshold)).cast("int")
    elif task == "classes":
        predicted_class = (F.array_position(outputs, F.array_max(outputs)) - 1).cast("int")
    else:
        predicted_class = F.lit(None).cast("int")
    label = predicted_class.cast("string")
    if names is not None and task != "number":
        label = F.get(F.array(*map(F.lit, names)), predicted_class)
    probabilities = outputs if task == "classes" else F.lit(None).cast("array<double>")
    others = [name for name in dict.fromkeys([*key, date]) if name != "scoring_date"]
    return scored.select(
        *others,
        F.col(date).alias("scoring_date"),
        prediction.alias("prediction"),
        predicted_class.alias("predicted_class"),
        label.alias("predicted_label"),
        probabilities.alias("probabilities"),
        *[F.col(name).alias(name[1:]) for name in REASONS if name in scored.columns],
        F.lit(provenance.model_name).alias("model_name"),
        F.lit(provenance.model_version).cast("int").alias("model_version"),
        F.lit(provenance.feature_table_version).cast("bigint").alias("feature_table_version"),
        F.lit(provenance.run_id).alias("run_id"),
        F.lit(provenance.scored_at).alias("scored_at"),
    )
