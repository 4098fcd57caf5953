"""The way back through records of runs, on literal records."""

from __future__ import annotations

import dataclasses
import datetime as dt

from pipelines.lineage.records import RunRecord
from pipelines.lineage.trace import lines, trace

START = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)


def record(
    minute: int, stage: str, read: dict, written: dict, date: str | None = None
) -> RunRecord:
    at = START + dt.timedelta(minutes=minute)
    return RunRecord(f"r{minute}", stage, "p", date, None, at, 1.0, read, written)


def nothing(table: str, version: int) -> list[str]:
    return []


RECORDS = [
    record(0, "ingest", {}, {"bronze.a": 1}),
    record(1, "clean", {"bronze.a": 1}, {"silver.a": 1}),
    record(2, "featurize", {"silver.a": 1}, {"gold.f": 0}),
    record(3, "ingest", {}, {"bronze.a": 2}),
    record(4, "clean", {"bronze.a": 2}, {"silver.a": 2}),
    record(5, "featurize", {"silver.a": 2}, {"gold.f": 1}),
    record(6, "score", {"gold.f": 1}, {"predictions.m": 0}, "2013-01-02"),
    record(7, "score", {"gold.f": 1}, {"predictions.m": 0}, "2013-01-02"),
    record(8, "score", {"gold.f": 1}, {"predictions.m": 1}, "2013-01-03"),
]


def test_the_way_leads_from_predictions_to_what_landed() -> None:
    assert list(lines(trace(RECORDS, "predictions.m"), nothing)) == [
        "predictions.m@1  <- score for 2013-01-03, run r8, after 1 earlier run",
        "  gold.f@1  <- featurize, run r5, after 1 earlier run",
        "    silver.a@2  <- clean, run r4, after 1 earlier run",
        "      bronze.a@2  <- ingest, run r3, after 1 earlier run",
    ]


def test_an_older_version_leads_to_what_it_was_made_from() -> None:
    assert list(lines(trace(RECORDS, "gold.f", 0), nothing)) == [
        "gold.f@0  <- featurize, run r2",
        "  silver.a@1  <- clean, run r1",
        "    bronze.a@1  <- ingest, run r0",
    ]


def test_a_run_that_found_nothing_new_is_not_taken_for_the_writer() -> None:
    origin = trace(RECORDS, "predictions.m", 0)
    assert origin.run.run_id == "r6"
    assert origin.earlier == 0


def test_a_run_that_was_stopped_after_its_commit_is_named_beside_the_one_that_found_its_work():
    # r4's commit of silver is that of a run which was killed before it was recorded.
    authors = {("silver.a", 2): "killed", ("gold.f", 1): "r5"}
    origin = trace(RECORDS, "gold.f", 1, lambda *at: authors.get(at))
    assert list(lines(origin, nothing))[:2] == [
        "gold.f@1  <- featurize, run r5, after 1 earlier run",
        "  silver.a@2  <- clean, run r4, which found it as run killed had left it, "
        "after 1 earlier run",
    ]


def test_a_commit_belongs_to_the_run_it_carries_though_another_named_it_first() -> None:
    authors = {("predictions.m", 0): "r7"}
    origin = trace(RECORDS, "predictions.m", 0, lambda *at: authors.get(at))
    assert (origin.run.run_id, origin.left_by) == ("r7", None)


def test_a_version_between_two_writes_came_from_the_one_before() -> None:
    later = [*RECORDS, record(9, "score", {"gold.f": 1}, {"predictions.m": 5})]
    assert trace(later, "predictions.m", 4).version == 1


def test_what_nobody_wrote_is_said_to_be_unknown() -> None:
    alone = [record(1, "clean", {"bronze.a": 1}, {"silver.a": 1})]
    assert list(lines(trace(alone, "silver.a"), nothing)) == [
        "silver.a@1  <- clean, run r1",
        "  bronze.a@1  <- no run is known",
    ]
    assert trace(RECORDS, "gold.other") is None


def test_landing_files_stand_below_the_bronze_table_they_were_read_into() -> None:
    records = [record(0, "ingest", {}, {"bronze.a": 3, "bronze.a_files": 2})]
    asked = []

    def landed(table: str, version: int) -> list[str]:
        asked.append((table, version))
        return ["a/1.csv", "a/2.csv"]

    assert list(lines(trace(records, "bronze.a"), landed))[1:] == [
        "  2 landing files: a/1.csv .. a/2.csv"
    ]
    assert asked == [("bronze.a", 2)]


def ended(minute: int, written: dict, status: str, error: str) -> RunRecord:
    return dataclasses.replace(
        record(minute, "clean", {"bronze.a": 2}, written), status=status, error=error
    )


def test_the_way_leads_through_a_version_that_a_failed_run_wrote() -> None:
    failed = ended(9, {"silver.a": 3}, "failed", "SchemaError: other columns")
    later = record(10, "featurize", {"silver.a": 3}, {"gold.f": 2})
    found = trace([*RECORDS, failed, later], "gold.f", 2, lambda table, at: None)
    assert list(lines(found, nothing)) == [
        "gold.f@2  <- featurize, run r10, after 2 earlier runs",
        "  silver.a@3  <- clean, run r9, which failed (SchemaError: other columns), "
        "after 2 earlier runs",
        "    bronze.a@2  <- ingest, run r3, after 1 earlier run",
    ]


def test_of_a_run_that_was_stopped_and_one_that_found_its_work_done_the_latter_knows_more() -> None:
    stopped = ended(9, {"silver.a": 3}, "stopped", "was stopped before its end")
    done = record(10, "clean", {"bronze.a": 2}, {"silver.a": 3})
    found = trace([*RECORDS, stopped, done], "silver.a", 3, lambda table, at: "r9")
    assert next(lines(found, nothing)) == (
        "silver.a@3  <- clean, run r10, which found it as run r9 had left it, after 2 earlier runs"
    )
    alone = trace([*RECORDS, stopped], "silver.a", 3, lambda table, at: "r9")
    assert next(lines(alone, nothing)) == (
        "silver.a@3  <- clean, run r9, which was stopped before its end, after 2 earlier runs"
    )
