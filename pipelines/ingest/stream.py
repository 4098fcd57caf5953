"""The stream of a source's files: Spark remembers in the checkpoint which it has handed out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipelines.config.ingest import Source
from pipelines.errors import LakeError
from pipelines.ingest.files import LIST_OPTIONS, Landing, LandingFile, columns_of_files
from pipelines.lake import files as lake_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

# By default a file that is 7 days older than the newest one seen is silently left out.
_NEVER_TOO_OLD = "36500d"
_BINARY_FILE = "path string, modificationTime timestamp, length bigint, content binary"

OnBatch = Callable[[list[LandingFile], str, int], None]
"""Called with a batch's new files, the stream's id and the batch's number."""


def start_stream(
    spark: SparkSession, landing: Landing, source: Source, checkpoint: str, on_batch: OnBatch
) -> StreamingQuery:
    """Start a query that hands over every file not handed over before, then ends."""
    stream = columns_of_files(
        spark.readStream.format("binaryFile")
        .schema(_BINARY_FILE)
        .options(**LIST_OPTIONS, maxFileAge=_NEVER_TOO_OLD)
        .load(landing.place(source))
    )

    def hand_over(batch: DataFrame, number: int) -> None:
        files = sorted(landing.file(row) for row in batch.collect())
        on_batch(files, stream_id(spark, checkpoint), number)

    writer = (
        stream.writeStream.foreachBatch(hand_over)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
    )
    try:
        return writer.start()
    except Exception as error:
        raise torn(spark, checkpoint) or error from error


def stream_id(spark: SparkSession, checkpoint: str) -> str:
    """Return the id that Spark gave the stream when it made the checkpoint."""
    text = lake_files.read_text(spark, f"{checkpoint}/metadata")
    if text is None:
        raise _unreadable(checkpoint, "has no file 'metadata'")
    return str(json.loads(text)["id"])


def torn(spark: SparkSession, checkpoint: str) -> LakeError | None:
    """Return what to say of a checkpoint with an empty file, which stopped its stream.

    Spark renames its files into place without waiting for the disk, so a machine that goes down
    (or a disk that runs full) may leave names without content.
    """
    stored = lake_files.list_files(spark, checkpoint).items()
    empty = sorted(n for n, f in stored if not f.num_bytes and not f"/{n}".count("/."))
    return _unreadable(checkpoint, f"is torn: '{empty[0]}' is empty") if empty else None


def _unreadable(checkpoint: str, why: str) -> LakeError:
    return LakeError(
        f"the stream's checkpoint {checkpoint} {why}. Delete the checkpoint's folder and run "
        "ingest again: files that are in the table are not read twice."
    )


def quiet_session(spark: SparkSession, landing: Landing) -> SparkSession:
    """Return a session of its own for ingest, whose settings touch no other stage."""
    session = spark.newSession()
    # Streams can't adapt their plans and would warn about it, source by source.
    session.conf.set("spark.sql.adaptive.enabled", "false")
    # Nor does a plan of forty columns need a warning that its text was cut.
    session.conf.set("spark.sql.debug.maxToStringFields", "200")
    # `_row` counts on tasks that read no more than a block's worth of bytes.
    session.conf.set("spark.sql.files.maxPartitionNum", str(2**31 - 1))
    if landing.root.startswith("file:"):
        # A Spark task per file to look at a local disk takes 15 ms each; looking takes none.
        session.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", "1000000")
    return session
