"""Silver tables of a landing folder without the stages before: cast and derived, nothing more."""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.config import Pipeline


def silver_tables(spark: SparkSession, landing: Path, pipeline: Pipeline) -> dict[str, DataFrame]:
    """The tables that the pipeline's feature queries may read, by their names."""
    return {name: _silver(spark, landing, pipeline, name) for name in pipeline.featurize.reads}


def _silver(spark: SparkSession, landing: Path, pipeline: Pipeline, table: str) -> DataFrame:
    entity = pipeline.clean.entities[table.removeprefix("silver.")]
    source = pipeline.ingest.sources[entity.source]
    df = spark.read.csv(str(landing / source.path), header=True, nullValue="NA")
    columns = {
        name: F.expr(f"try_cast(`{column.source or name}` AS {column.type})")
        for name, column in entity.columns.items()
    }
    df = df.select(*(column.alias(name) for name, column in columns.items()))
    for name, expression in entity.derive.items():
        df = df.withColumn(name, F.expr(expression))
    return df
