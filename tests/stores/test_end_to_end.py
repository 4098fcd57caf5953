"""Whole pipelines as a user runs them, from landing files to predictions, the lake in a store."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.lake.folder import Folder
from pipelines.lake.storage import WEBHDFS, file_system
from tests.conftest import ROOT
from tests.servers import hadoop_jars, hdfs
from tests.stores.conftest import upload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.end_to_end,
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.timeout(3600),
]

LAST_DAY = dt.date(2013, 1, 14)


def tidemill(env: dict[str, str], *arguments: str) -> Any:
    """Run the command with `--json`; return what it says."""
    call = [sys.executable, "-W", "ignore", "-c", "from pipelines.cli import main; main()"]
    done = subprocess.run(
        [*call, *arguments, "--json"],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_everything(env: dict[str, str], place: str, profile: str, landing: Path, tmp: Path) -> None:
    """Run a pipeline whose lake and landing files are at `place`; then keep and repeat it."""
    env = {**env, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp}/mlflow.db"}
    upload(landing, f"{place}/landing")
    where = ("flights", "--env", "test", "--profile", profile, "--lake", f"{place}/lake")
    where += ("--set", f"landing={place}/landing")
    first = tidemill(env, "run", *where, "--run-id", "first")
    by_stage = {one["stage"]: one for one in first["stages"]}
    assert by_stage["ingest"]["counts"]["schedules.rows"] > 10_000
    assert by_stage["train"]["details"]["ranks"] == 2
    assert by_stage["score"]["counts"]["inserted"] > 500
    assert "report" in json.dumps(by_stage["monitor"])

    again = tidemill(env, "ingest", *where)
    assert again["counts"]["rows_in"] == 0

    found = tidemill(env, "reproduce", "flights", "first", *where[1:])
    assert (found["is_identical"], found["unlike"]) == (True, [])
    removed = tidemill(env, "vacuum", *where, "--dry-run")
    assert not [one for one in removed["tables"] if one["missing_for"]]
    names = Folder(f"{place}/lake").names()
    assert {"bronze", "silver", "gold", "predictions", "monitoring"} <= set(names)


def test_the_flights_run_end_to_end_in_an_s3_bucket(bucket, s3_server, flights_landing, tmp_path):
    run_everything(s3_server, bucket, "s3", flights_landing(LAST_DAY), tmp_path)


def test_a_lake_that_moved_into_a_bucket_goes_on(bucket, s3_server, flights_landing, tmp_path):
    """The steps of docs/stores.md."""
    old, new = (flights_landing(LAST_DAY - dt.timedelta(days=days)) for days in (1, 0))
    pipeline = ("flights", "--env", "test", "--lake")
    lake, there = tmp_path / "lake", f"{bucket}/lake"
    env = {**s3_server, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    for stage in ("ingest", "clean"):
        first = tidemill(env, stage, *pipeline, str(lake), "--set", f"landing={old}")
    rows = first["counts"]["flights.inserted"]

    for file in (*lake.rglob("*.crc"), *lake.rglob("*.lock")):
        file.unlink()
    upload(lake, there)
    shutil.rmtree(lake)
    system, landing = file_system(f"{bucket}/landing")
    for source in old.iterdir():
        system.makedirs(f"{landing}/{source.name}", exist_ok=True)
    where = (*pipeline, there, "--profile", "s3", "--set", f"landing={bucket}/landing")
    assert tidemill(env, "ingest", *where)["counts"]["rows_in"] == 0

    for file in new.rglob("*.*"):
        if not (old / file.relative_to(new)).exists():
            Folder(f"{bucket}/landing").write(str(file.relative_to(new)), file.read_bytes())
    delivered = tidemill(env, "ingest", *where)["counts"]
    assert 0 < delivered["rows_in"] < 3000
    cleaned = tidemill(env, "clean", *where)["counts"]
    assert 0 < cleaned["flights.inserted"] < rows


@pytest.fixture
def hdfs_server(spark, tmp_path, monkeypatch) -> Iterator[tuple[str, str]]:
    with hdfs(tmp_path, hadoop_jars(spark)) as (address, web):
        monkeypatch.setenv(WEBHDFS, web)
        system, _ = file_system(address)
        for _ in range(60):
            try:
                system.pipe_file("/ready", b"yes")
                break
            except RuntimeError:  # no data node has come yet
                time.sleep(1)
        yield address, web


def test_the_flights_run_end_to_end_on_hdfs(hdfs_server, flights_landing, tmp_path):
    address, web = hdfs_server
    run_everything({WEBHDFS: web}, address, "local", flights_landing(LAST_DAY), tmp_path)
