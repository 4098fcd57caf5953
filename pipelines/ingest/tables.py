"""The three tables of a source: its rows, its files, and what was put aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.config.ingest import Source
from pipelines.errors import SchemaError
from pipelines.lake.catalog import Lake
from pipelines.lake.read import table_exists
from pipelines.lake.tables import bronze, ledger, rejected

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Tables:
    """Names of a source's tables."""

    source: str

    @property
    def rows(self) -> str:
        """The records, as they came."""
        return str(bronze(self.source))

    @property
    def rejected(self) -> str:
        """Malformed records and bad files."""
        return str(rejected(self.source))

    @property
    def files(self) -> str:
        """The ledger: every file that was consumed, and what became of it."""
        return str(ledger(self.source))


def rows_schema(columns: StructType, headers: Mapping[str, str] | None = None) -> StructType:
    """Return the schema of `bronze.<source>`: the source's columns and ingest's own.

    Of a column that is called otherwise in the files, its `headers` name is the comment.
    """
    said = {name: {"comment": header} for name, header in (headers or {}).items()}
    nullable = [T.StructField(f.name, f.dataType, True, said.get(f.name)) for f in columns]
    return (
        T.StructType(nullable)
        .add("_source_file", "string")
        .add("_source_modified_at", "timestamp")
        .add("_row", "long")
        .add("_batch", "long")
        .add("_ingested_at", "timestamp")
    )


def rejected_schema() -> StructType:
    """Return the schema of `bronze.<source>_rejected`; `raw` is null for a whole file."""
    return (
        T.StructType()
        .add("_source_file", "string")
        .add("_source_modified_at", "timestamp")
        .add("reason", "string")
        .add("raw", "string")
        .add("_batch", "long")
        .add("_ingested_at", "timestamp")
    )


def files_schema() -> StructType:
    """Return the schema of `bronze.<source>_files`.

    `status` is ingested, corrected (a changed file, read again) or rejected (as a whole);
    `records` counts good and malformed ones. `_batch` is -1 for a file that was read alone.
    """
    return (
        T.StructType()
        .add("path", "string")
        .add("modified_at", "timestamp")
        .add("length", "long")
        .add("status", "string")
        .add("reason", "string")
        .add("records", "long")
        .add("malformed", "long")
        .add("_batch", "long")
    )


def stored_columns(
    spark: SparkSession, lake: Lake, tables: Tables, source: Source
) -> StructType | None:
    """Return the source's columns as the table has them; None where there is no table yet.

    Raises SchemaError where the settings no longer declare the same columns, unless its
    `schema_drift` is `add` or `ignore`.
    """
    if not table_exists(spark, lake, tables.rows):
        return None
    schema = spark.read.format("delta").load(lake.path(tables.rows)).schema
    stored = [field for field in schema if not field.name.startswith("_")]
    names = {field.name for field in stored}
    more, less = sorted(names - set(source.columns)), sorted(set(source.columns) - names)
    if source.format == "parquet":
        less = []  # As long as files bring nulls alone, a column has no type, nor a place.
    if (more or less) and source.schema_drift not in ("add", "ignore"):
        raise SchemaError(
            f"{tables.rows} and `ingest.sources.{tables.source}.columns` differ: only the table "
            f"has {more or 'none'}, only the settings have {less or 'none'}. Declare the table's "
            f"columns; or set `ingest.sources.{tables.source}.schema_drift` to `add` or `ignore`, "
            "with which the table gains the settings' columns (null in older rows) and keeps its "
            "own; or give files with other columns to a source of another name."
        )
    return T.StructType(stored)


def in_order_of(df: DataFrame, schema: StructType) -> DataFrame:
    """Select a schema's columns in its order and of its types."""
    return df.select(
        *(F.col(f"`{field.name}`").cast(field.dataType).alias(field.name) for field in schema)
    )
