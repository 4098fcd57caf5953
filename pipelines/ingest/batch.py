"""Writes one batch of files: rows, what was put aside, and last the ledger.

Each write carries the batch's transaction id, so a repeated batch changes nothing. The ledger comes
last: a file that is in it is wholly written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.config.ingest import Source
from pipelines.errors import LakeError
from pipelines.ingest.files import LandingFile
from pipelines.ingest.ledger import Batch
from pipelines.ingest.records import Sorted, few_files, read_records, sort_out, without_names
from pipelines.ingest.tables import (
    Tables,
    files_schema,
    in_order_of,
    rejected_schema,
    rows_schema,
    stored_columns,
)
from pipelines.ingest.types import split_by_type
from pipelines.lake import write
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.privacy.protect import Protection, protect, protect_raw

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

Counts = dict[str, int]
"""Number of records by file."""


@dataclass
class Outcome:
    """What became of a source's files in this run. `records` is what was read, good or not.

    `drifted` are files that were read though their columns are not those declared, and how.
    """

    files: int = 0
    corrected: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    drifted: dict[str, str] = field(default_factory=dict)
    records: int = 0
    rows: int = 0
    malformed: int = 0
    written: dict[str, int] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Add what another batch did."""
        self.files += other.files
        self.corrected += other.corrected
        self.rejected.update(other.rejected)
        self.drifted.update(other.drifted)
        self.records += other.records
        self.rows += other.rows
        self.malformed += other.malformed
        self.written.update(other.written)


class Writer:
    """Writes the batches of one source."""

    def __init__(
        self,
        spark: SparkSession,
        lake: Lake,
        name: str,
        source: Source,
        protection: Protection | None = None,
    ) -> None:
        """Take a protection where no clear value of a marked column may be written."""
        self._protection = protection
        self._spark = spark
        self._lake = lake
        self._source = source
        self._tables = Tables(name)

    def write(self, batch: Batch) -> Outcome:
        """Write a batch; a second call with the same batch changes nothing."""
        tables = self._tables
        found = self.sort_out(batch.files)
        outcome = Outcome(
            rejected={file.path: why for file, why in found.rejected.items()},
            drifted={file.path: said for file, said in found.drifted.items()},
        )
        good: Counts = {}
        malformed: Counts = {}
        observed: Counts | None = {"records": 0, "malformed": 0}
        aside = self._bad_files(found)
        if found.groups:
            records = self._records(found)
            observed = self._append_rows(records, found, batch, outcome)
            good = self._count(tables.rows, outcome, batch, None)
            if observed is None or observed["malformed"]:
                aside = aside.unionByName(self._malformed(records))
        self._create(tables.rejected, rejected_schema())
        if found.rejected or observed is None or observed["malformed"]:
            self._append(aside, tables.rejected, rejected_schema(), batch, outcome)
            malformed = self._count(tables.rejected, outcome, batch, "raw IS NOT NULL")
        outcome.rows, outcome.malformed = sum(good.values()), sum(malformed.values())
        # Where an earlier run wrote the rows, only the tables know how many there were.
        kept = outcome.rows + outcome.malformed
        outcome.records = kept if observed is None else observed["records"]
        self._check(outcome, batch)
        entries = self._entries(found, batch, good, malformed)
        self._append(entries, tables.files, files_schema(), batch, outcome)
        outcome.files = 0 if batch.status == "corrected" else len(batch.files)
        outcome.corrected = len(batch.files) - outcome.files
        return outcome

    def sort_out(self, files: Sequence[LandingFile]) -> Sorted:
        """Return which files can be read, what of them, and which are put aside; write nothing."""
        found = sort_out(self._spark, files, self._source)
        if self._source.format == "parquet":
            stored = stored_columns(self._spark, self._lake, self._tables, self._source)
            marked = self._protection.marks if self._protection else ()
            found = split_by_type(self._spark, found, self._source, stored, marked)
        return found if self._protection is None else without_names(found, self._source)

    def _records(self, found: Sorted) -> DataFrame:
        """Return the records of all good files, with the file they came from."""
        from pyspark.sql import functions as F

        files = [file for group in found.groups.values() for file in group]
        places = self._spark.createDataFrame(
            [(file.link, file.path, file.modified_ms) for file in files],
            "_link string, _source_file string, _modified_ms bigint",
        )
        records = protect(read_records(self._spark, found, self._source), self._protection)
        return records.join(F.broadcast(places), "_link").withColumn(
            "_source_modified_at", F.timestamp_millis("_modified_ms")
        )

    def _append_rows(
        self, records: DataFrame, found: Sorted, batch: Batch, outcome: Outcome
    ) -> Counts | None:
        """Append the good records; return what was read, or None where they were there before."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F
        from pyspark.sql import types as T

        table = self._tables.rows
        columns = T.StructType(
            [one for one in records.schema.fields if not one.name.startswith("_")]
        )
        schema = rows_schema(columns)
        self._create(table, schema)
        before = latest_version(self._spark, self._lake, table)
        seen = Observation()
        good = (
            records.observe(
                seen,
                F.count(F.lit(1)).alias("records"),
                F.count("_reason").alias("malformed"),
            )
            .where(F.col("_reason").isNull())
            .drop("_reason", "_raw")
        )
        num_bytes = sum(file.length for group in found.groups.values() for file in group)
        self._append(few_files(good, num_bytes), table, schema, batch, outcome)
        return dict(seen.get) if outcome.written[table] > before else None

    def _malformed(self, records: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        raw = F.coalesce("_raw", F.lit(""))
        if self._protection is not None:
            raw = protect_raw(raw, F.col("_row"), self._protection)
        return records.where(F.col("_reason").isNotNull()).select(
            "_source_file",
            "_source_modified_at",
            F.col("_reason").alias("reason"),
            raw.alias("raw"),
        )

    def _bad_files(self, found: Sorted) -> DataFrame:
        from pyspark.sql import functions as F

        rows = [(file.path, file.modified_ms, why) for file, why in found.rejected.items()]
        files = self._spark.createDataFrame(rows, "_source_file string, ms bigint, reason string")
        return files.select(
            "_source_file",
            F.timestamp_millis("ms").alias("_source_modified_at"),
            "reason",
            F.lit(None).cast("string").alias("raw"),
        )

    def _entries(self, found: Sorted, batch: Batch, good: Counts, bad: Counts) -> DataFrame:
        from pyspark.sql import functions as F

        def entry(file: LandingFile) -> tuple[Any, ...]:
            reason = found.rejected.get(file)
            malformed = bad.get(file.path, 0)
            records = good.get(file.path, 0) + malformed
            status = batch.status if reason is None else "rejected"
            return file.path, file.modified_ms, file.length, status, reason, records, malformed

        names = (
            "path string, ms bigint, length bigint, status string, reason string, "
            "records bigint, malformed bigint"
        )
        rows = self._spark.createDataFrame([entry(file) for file in batch.files], names)
        return rows.withColumn("modified_at", F.timestamp_millis("ms")).coalesce(1)

    def _create(self, table: str, schema: StructType) -> None:
        write.create_if_absent(self._spark, self._lake, table, schema)

    def _append(
        self, df: DataFrame, table: str, schema: StructType, batch: Batch, outcome: Outcome
    ) -> None:
        from pyspark.sql import functions as F

        self._create(table, schema)
        more: dict[str, Column] = {"_batch": F.lit(batch.number)}
        if "_ingested_at" in schema.fieldNames():
            more["_ingested_at"] = F.current_timestamp()
        rows = in_order_of(df.withColumns(more), schema)
        outcome.written[table] = write.append_once(
            rows, self._lake, table, batch.app_id, batch.version
        )

    def _count(self, table: str, outcome: Outcome, batch: Batch, where: str | None) -> Counts:
        """Count a batch's records by file, as they are in the table."""
        from pyspark.sql import functions as F

        rows = read_at(self._spark, self._lake, table, outcome.written[table])
        rows = rows.where(F.col("_batch") == batch.number)
        rows = rows.where(where) if where else rows
        times = {file.path: file.modified_ms for file in batch.files}
        found = rows.groupBy("_source_file", F.unix_millis("_source_modified_at").alias("ms"))
        return {
            path: count
            for path, ms, count in found.agg(F.count(F.lit(1))).collect()
            if times.get(path) == ms
        }

    def _check(self, outcome: Outcome, batch: Batch) -> None:
        if outcome.records == outcome.rows + outcome.malformed:
            return
        raise LakeError(
            f"{self._tables.rows}: {outcome.records:,} records were read from "
            f"{_some(batch.files)}, but the tables hold {outcome.rows:,} good and "
            f"{outcome.malformed:,} malformed ones of them. The files may have changed while they "
            "were read; run ingest again when deliveries are complete."
        )


def _some(files: Sequence[LandingFile]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(file.path for file in files[:3]) + more
