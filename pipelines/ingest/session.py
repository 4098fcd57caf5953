"""The session that ingest reads in: settings of its own, which touch no other stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SETTINGS = {
    # Its plans are one scan, one join and one write each: nothing to adapt, and looking costs.
    "spark.sql.adaptive.enabled": "false",
    # A plan of forty columns needs no warning that its text was cut.
    "spark.sql.debug.maxToStringFields": "200",
    # `_row` counts on tasks that read no more than a block's worth of bytes.
    "spark.sql.files.maxPartitionNum": str(2**31 - 1),
    # Else a file with one column in nanoseconds, as pandas writes them, can't be read at all.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Each of these would have rows, files or types passed over or changed, without a finding.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.fieldId.read.enabled": "false",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    # Hadoop's: a line that is longer is passed over, and only its log says so.
    "mapreduce.input.linerecordreader.line.maxlength": str(2**31 - 1),
    # A worker of Python holds so many lines of JSON at a time, however long they are.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
}


def quiet_session(spark: SparkSession) -> SparkSession:
    """Return a session of its own for ingest."""
    session = spark.newSession()
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    return session
