"""Attempts that failed or were killed: what they wrote is found, and why is told without values."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from pipelines.errors import FileChanged, LakeError, QualityError, SettingsError
from pipelines.lake.catalog import Lake
from pipelines.lineage.attempts import Found, committed, reason_of, versions_in

NOON = dt.datetime(2013, 1, 5, 12, tzinfo=dt.UTC)


def commit(lake: Lake, table: str, version: int, minute: int, run: str | None, metrics=None):
    log = Path(lake.path(table), "_delta_log")
    log.mkdir(parents=True, exist_ok=True)
    at = int((NOON + dt.timedelta(minutes=minute)).timestamp() * 1000)
    info = {"timestamp": at, "userMetadata": run, "operationMetrics": metrics or {}}
    (log / f"{version:020d}.json").write_text(json.dumps({"commitInfo": info}) + "\n")


def test_what_a_run_committed_is_found_by_its_id_and_counted(lake):
    commit(lake, "bronze.flights", 0, 1, "run")
    commit(lake, "bronze.flights", 1, 2, "run", {"numOutputRows": "31000"})
    commit(lake, "bronze.flights", 2, 3, "run", {"numOutputRows": "7"})
    commit(lake, "bronze.flights", 3, 4, "another", {"numOutputRows": "5"})
    noted = json.dumps({"run_id": "run", "note": 1})
    merged = {"numOutputRows": "900", "numTargetRowsInserted": "3"}
    commit(lake, "silver.flights", 0, 5, noted, merged)
    commit(lake, "silver.planes", 0, -1, "run", {"numOutputRows": "8"})  # of an attempt before
    commit(lake, "monitoring.runs", 0, 5, "run", {"numOutputRows": "1"})
    Path(lake.path("gold.unmade"), "_delta_log").mkdir(parents=True)
    Path(lake.root, "bronze", "_flights.lock").touch()
    found = committed(lake, "run", NOON)
    assert found.written == {"bronze.flights": 2, "silver.flights": 0}
    assert found.rows == {"bronze.flights": 31_007, "silver.flights": 3}
    assert found.said() == "bronze.flights@2 (+31,007 rows), silver.flights@0 (+3 rows)"
    assert found.last_ms == (NOON + dt.timedelta(minutes=5)).timestamp() * 1000


def test_a_run_that_committed_nothing_says_so(lake):
    assert committed(lake, "run", NOON) == Found()
    assert Found().said() == "nothing"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            QualityError("3 rows broke 'plausible', such as passenger 4711"),
            "QualityError: A quality rule of severity `fail` was broken; nothing was written.",
        ),
        (
            LakeError("row 4711"),
            "LakeError: The lake or a table can't be read or written as asked.",
        ),
        (FileChanged("a.csv changed.\nMore of it"), "FileChanged: a.csv changed."),
        (SettingsError("x" * 999), f"SettingsError: {'x' * 300}"),
        (SettingsError(""), "SettingsError: "),
        (ValueError("invalid literal for int(): '4711'"), "ValueError"),
    ],
)
def test_the_reason_of_a_failure_holds_no_value_of_a_row(error, reason):
    assert reason_of(error) == reason


def test_of_an_error_of_spark_its_condition_is_kept():
    class CastError(Exception):
        def getCondition(self):
            return "CAST_INVALID_INPUT"

    assert reason_of(CastError("'4711' can't be cast")) == "CastError: CAST_INVALID_INPUT"


@pytest.mark.parametrize(
    ("resolved", "versions"),
    [
        (None, {}),
        (
            {"bronze": {"flights": {"version": 3, "id": "x"}, "planes": None}},
            {"bronze.flights": 3},
        ),
        (
            {"tables": {"silver.a": 1}, "ids": {"silver.a": "x"}, "after": -1, "made_from": None},
            {"silver.a": 1},
        ),
        ({"gold.training": 4, "gold.features": 2}, {"gold.training": 4, "gold.features": 2}),
        ({"features": 7, "model_version": 2, "bundle": "b"}, {"gold.f": 7}),
        ({"candidate": {"version": 1, "name": "m"}, "champion": None}, {}),
    ],
)
def test_versions_are_found_in_whatever_a_stage_resolved(resolved, versions):
    assert versions_in(resolved, "gold.f") == versions
