"""Tables that are records gain columns: by releases, by files that bring more than before.

Their rows are never made anew, so a table that is there gets the new columns, null in its rows.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pipelines.errors import SchemaError
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import table_exists

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)


def fitted_to(df: DataFrame, lake: Lake, table: Table | str) -> DataFrame:
    """Give a table of records the columns that `df` has and it lacks; return `df` with all of its.

    Raises SchemaError where a column is of another type. Other tables, and `df`, stay as they are.
    """
    from pyspark.sql import functions as F

    spark = df.sparkSession
    if not Table.parse(str(table)).is_record or not table_exists(spark, lake, table):
        return df
    there = spark.read.format("delta").load(lake.path(table)).schema
    has = {field.name: field.dataType for field in there}
    gets = {field.name: field.dataType for field in df.schema}
    changed = [
        f"'{name}' is {has[name].simpleString()}, the rows have {kind.simpleString()}"
        for name, kind in gets.items()
        if name in has and has[name].simpleString() != kind.simpleString()
    ]
    if changed:
        raise SchemaError(
            f"{table} was written with other types: {'; '.join(changed)}. It is a record, so it is "
            f"not made anew. Move {lake.path(table)} away to begin another one, or write with the "
            "release that made it."
        )
    new = [name for name in gets if name not in has]
    if new:
        kinds = {name: gets[name].simpleString() for name in new}
        if any("timestamp_ntz" in kind for kind in kinds.values()):
            # A new table may have such a column without further ado, an old one may not.
            allow = "SET TBLPROPERTIES ('delta.feature.timestampNtz' = 'supported')"
            spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` {allow}")
        columns = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
        spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` ADD COLUMNS ({columns})")
        logger.warning("%s: older rows have no %s; the columns were added", table, ", ".join(new))
    gone = {name: F.lit(None).cast(kind) for name, kind in has.items() if name not in gets}
    return df.withColumns(gone) if gone else df
