"""Writes one batch of files: rows, what was put aside, and last the ledger.

Each write carries the batch's transaction id, so a repeated batch changes nothing. The ledger comes
last: a file that is in it is wholly written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.config.ingest import Source
from pipelines.errors import TidemillError
from pipelines.ingest.counts import Counts, check_each, check_total
from pipelines.ingest.files import LandingFile
from pipelines.ingest.ledger import Batch
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.records import few_files, read_records, sort_out
from pipelines.ingest.sorting import Sorted, without_names, without_other_letters
from pipelines.ingest.tables import (
    Tables,
    files_schema,
    in_order_of,
    rejected_schema,
    rows_schema,
    stored_columns,
)
from pipelines.ingest.types import TypeSplit
from pipelines.ingest.unreadable import find_unreadable
from pipelines.lake import write
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.privacy.protect import Protection, protect, protect_raw

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Observation, SparkSession
    from pyspark.sql.types import StructType

# Nobody looks for a text as it came, and least and greatest values cost a tenth of the write.
_STATISTICS = "_batch,_source_modified_at"
_NO_NAME = "its name is no UTF-8 text; deliver it under another one"


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
        """Take the source's marks. Where they are set `at_ingest`, no clear value is written."""
        self._protection = protection if protection and protection.at_ingest else None
        self._has_marks = protection is not None
        self._spark = spark
        self._lake = lake
        self._source = source
        self._tables = Tables(name)

    def write(self, batch: Batch, note: Callable[[Batch], None]) -> Outcome:
        """Write a batch; a second call with the same batch changes nothing.

        `note` keeps the batch before its first write, with the files that can't be read.
        """
        tables = self._tables
        outcome = Outcome()
        found, outcome.records = self._append_rows(self._sort_out(batch), batch, note, outcome)
        outcome.rejected = {file.path: why for file, why in found.rejected.items()}
        outcome.drifted = {file.path: said for file, said in found.drifted.items()}
        good: Counts = {}
        malformed: Counts = {}
        aside = self._bad_files(found)
        if found.groups:
            good = self._count(tables.rows, outcome, batch, None)
        has_malformed = outcome.records != sum(good.values())
        if has_malformed:
            aside = aside.unionByName(self._malformed(_with_malformed(found, good)))
        self._create(tables.rejected, rejected_schema())
        if found.rejected or has_malformed:
            self._append(aside, tables.rejected, rejected_schema(), batch, outcome)
            malformed = self._count(tables.rejected, outcome, batch, "raw IS NOT NULL")
        outcome.rows, outcome.malformed = sum(good.values()), sum(malformed.values())
        check_total(tables.rows, outcome, batch)
        check_each(tables.rows, found, good, malformed)
        entries = self._entries(found, batch, good, malformed)
        self._append(entries, tables.files, files_schema(), batch, outcome)
        outcome.corrected = sum(batch.status(file) == "corrected" for file in batch.files)
        outcome.files = len(batch.files) - outcome.corrected
        return outcome

    def _sort_out(self, batch: Batch) -> Sorted:
        """Sort a batch's files; those that an earlier run found to be bad stay so."""
        found = self.sort_out([file for file in batch.files if file.path not in batch.bad])
        bad = {file: batch.bad[file.path] for file in batch.files if file.path in batch.bad}
        return replace(found, rejected=bad | found.rejected)

    def sort_out(self, files: Sequence[LandingFile]) -> Sorted:
        """Return which files can be read, what of them, and which are put aside; write nothing."""
        nameless = {file: _NO_NAME for file in files if not file.uri}
        found = sort_out(self._spark, [file for file in files if file.uri], self._source)
        found = found.without(nameless)
        stored = None
        if self._source.format == "parquet" or self._source.schema_drift == "add":
            stored = stored_columns(self._spark, self._lake, self._tables, self._source)
        if self._source.schema_drift == "add" and self._source.format != "parquet":
            there = [*self._source.columns, *(stored.fieldNames() if stored else ())]
            found = without_other_letters(found, there)
        if self._source.format == "parquet":
            marked = self._protection.marks if self._protection else ()
            found = TypeSplit(self._spark, self._source, stored, marked).split(found)
        # Told to logs and to the table of runs, which no mark protects.
        return without_names(found, self._source) if self._has_marks else found

    def _records(self, found: Sorted, seen: list[Observation] | None = None) -> DataFrame:
        """Return the records of all good files, with the file they came from."""
        places = self._spark.createDataFrame(
            [
                (number, link, file.path, file.modified_ms)
                for number, file in enumerate(found.files)
                for link in (file.links if not found.layouts else (file.link,))
            ],
            "_number bigint, _link string, _source_file string, _modified_ms bigint",
        )
        records = read_records(self._spark, found, self._source, seen)
        if not found.layouts:
            # A number is looked up more quickly than a text. Two links of one number would double
            # their rows, which the count after the write would find.
            number = F.xxhash64("_link")
            records = records.withColumn("_number", number)
            places = places.withColumn("_number", number)
        return (
            protect(records, self._protection)
            .join(F.broadcast(places.drop("_link")), "_number")
            .withColumn("_source_modified_at", F.timestamp_millis("_modified_ms"))
        )

    def _append_rows(
        self, found: Sorted, batch: Batch, note: Callable[[Batch], None], outcome: Outcome
    ) -> tuple[Sorted, int]:
        """Append the good records of all files that can be read; return these, and how many.

        A file may turn out to be unreadable in the midst of it. Nothing is written then: it is
        set aside, and the others are tried again.
        """
        while True:
            bad = {file.path: why for file, why in found.rejected.items()}
            note(replace(batch, bad=bad))
            if not found.groups:
                return found, 0
            try:
                return found, self._append_good(found, batch, outcome)
            except TidemillError:
                raise
            except Exception:
                unreadable = find_unreadable(found.files, partial(self._try, found))
                if not unreadable:
                    raise
                found = found.without(unreadable)

    def _try(self, found: Sorted, files: Sequence[LandingFile]) -> None:
        """Read some files, each value of them, and keep nothing."""
        records = read_records(self._spark, found.only(files), self._source)
        records.write.format("noop").mode("overwrite").save()

    def _append_good(self, found: Sorted, batch: Batch, outcome: Outcome) -> int:
        """Append the good records; return how many were read, good or not."""
        table = self._tables.rows
        seen: list[Observation] = []
        records = self._records(found, seen)
        columns = T.StructType(
            [one for one in records.schema.fields if not one.name.startswith("_")]
        )
        schema = rows_schema(columns, self._source.headers)
        self._create(table, schema, {"delta.dataSkippingStatsColumns": _STATISTICS})
        before = latest_version(self._spark, self._lake, table)
        good = records.where(F.col("_reason").isNull())
        num_bytes = sum(file.length for file in found.files)
        self._append(good, table, schema, batch, outcome, num_bytes)
        if outcome.written[table] == before:
            # An earlier run wrote the rows, and did not live to compare them.
            return self._read_again(found)
        if found.layouts:
            return _counted(found)
        return sum(int(one.get["records"]) for one in seen)

    def _read_again(self, found: Sorted) -> int:
        if found.layouts:
            return _counted(found)
        return read_records(self._spark, found, self._source).count()

    def _malformed(self, found: Sorted) -> DataFrame:
        records = self._records(found)
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
        rows = [(file.path, file.modified_ms, why) for file, why in found.rejected.items()]
        files = self._spark.createDataFrame(rows, "_source_file string, ms bigint, reason string")
        return files.select(
            "_source_file",
            F.timestamp_millis("ms").alias("_source_modified_at"),
            "reason",
            F.lit(None).cast("string").alias("raw"),
        )

    def _entries(self, found: Sorted, batch: Batch, good: Counts, bad: Counts) -> DataFrame:
        def entry(file: LandingFile) -> tuple[Any, ...]:
            reason = found.rejected.get(file)
            malformed = bad.get(file.path, 0)
            records = good.get(file.path, 0) + malformed
            status = batch.status(file) if reason is None else "rejected"
            return file.path, file.modified_ms, file.length, status, reason, records, malformed

        names = (
            "path string, ms bigint, length bigint, status string, reason string, "
            "records bigint, malformed bigint"
        )
        rows = self._spark.createDataFrame([entry(file) for file in batch.files], names)
        return rows.withColumn("modified_at", F.timestamp_millis("ms")).coalesce(1)

    def _create(
        self, table: str, schema: StructType, properties: Mapping[str, str] | None = None
    ) -> None:
        write.create_if_absent(self._spark, self._lake, table, schema, (), properties)

    def _append(
        self,
        df: DataFrame,
        table: str,
        schema: StructType,
        batch: Batch,
        outcome: Outcome,
        num_bytes: int | None = None,
    ) -> None:
        self._create(table, schema)
        more: dict[str, Column] = {"_batch": F.lit(batch.number)}
        if "_ingested_at" in schema.fieldNames():
            more["_ingested_at"] = F.current_timestamp()
        rows = in_order_of(df.withColumns(more), schema)
        if num_bytes is not None:
            # Last of all: what came after it would copy each row once more.
            rows = few_files(rows, num_bytes)
        outcome.written[table] = write.append_once(
            rows, self._lake, table, batch.app_id, batch.version
        )

    def _count(self, table: str, outcome: Outcome, batch: Batch, where: str | None) -> Counts:
        """Count a batch's records by file, as they are in the table."""
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


def _counted(found: Sorted) -> int:
    """Return the records of all files, as their census counted them."""
    return sum(found.expected[file] for file in found.files)


def _with_malformed(found: Sorted, good: Counts) -> Sorted:
    """Return the files that are known to have malformed records; all, where nothing is known."""
    return found.only([f for f in found.files if found.expected.get(f) != good.get(f.path, 0)])
