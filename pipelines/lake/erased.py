"""What erasures left behind: from which version on a table's change feed can be read again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipelines.lake import files
from pipelines.lake.catalog import Lake, Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def feed_starts_after(spark: SparkSession, lake: Lake, table: Table | str) -> int | None:
    """Return the version up to which an erasure took files out of a table's history.

    A consumer that has not come to that version can't read what came between from the change feed.
    None where nothing was erased.
    """
    found = files.read_json(
        spark,
        _place(lake, table),
        "consumers that an erasure overtook then find out by an error that files are gone",
    )
    return None if found is None else int(found["version"])


def note_feed_gap(spark: SparkSession, lake: Lake, table: Table | str, version: int) -> None:
    """Note that the feed up to and with `version` has gaps; done before they are made."""
    files.write_text(spark, _place(lake, table), json.dumps({"version": version}))


def _place(lake: Lake, table: Table | str) -> str:
    return f"{lake.root}/_erasures/feeds/{table}.json"
