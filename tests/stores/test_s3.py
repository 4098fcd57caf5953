"""The lake in an S3 bucket: landing files to silver, and rows from a table there to the feed."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import LakeError, SettingsError
from pipelines.feed.columns import FeedColumns
from pipelines.feed.dataset import open_table
from pipelines.lake import files
from pipelines.lake.catalog import Lake
from pipelines.lake.files import list_files
from pipelines.lake.folder import Folder
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import replace_slice
from pipelines.maintenance.pins import Pin, files_of
from pipelines.maintenance.vacuum import tables_of, vacuum_table
from pipelines.registry.tracking import tracking_uri
from pipelines.runner import run_stage
from tests.stores.conftest import upload

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def s3_lake(spark, s3_server, bucket, monkeypatch) -> Lake:
    """A lake in the bucket. The suite's session is older than the server, so it is told of it."""
    name = bucket.removeprefix("s3a://")
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    for key, value in {
        "endpoint": s3_server["AWS_ENDPOINT_URL"],
        "endpoint.region": s3_server["AWS_REGION"],
        "path.style.access": "true",
        "access.key": s3_server["AWS_ACCESS_KEY_ID"],
        "secret.key": s3_server["AWS_SECRET_ACCESS_KEY"],
        "attempts.maximum": "2",
        "retry.limit": "2",
    }.items():
        settings.set(f"fs.s3a.bucket.{name}.{key}", value)
    for key, value in s3_server.items():
        monkeypatch.setitem(spark.sparkContext.environment, key, value)  # of Python workers
    return Lake(f"{bucket}/lake")


def test_landing_files_in_a_bucket_become_silver_and_come_once(
    spark, s3_lake, bucket, small_flights, open_test_run, caplog
):
    upload(small_flights / "airlines", f"{bucket}/landing/airlines")
    with caplog.at_level(logging.WARNING):
        run = open_test_run(lake=s3_lake, landing=f"{bucket}/landing")
    assert "one driver at a time may write here" in caplog.text
    pipeline = run.pipeline
    ingest = pipeline.ingest.model_copy(
        update={"sources": {"airlines": pipeline.ingest.sources["airlines"]}}
    )
    clean = pipeline.clean.model_copy(
        update={"entities": {"airlines": pipeline.clean.entities["airlines"]}}
    )
    changed = pipeline.model_copy(update={"ingest": ingest, "clean": clean})
    run = replace(run, pipeline=changed)
    assert run_stage("ingest", run).counts["rows_out"] == 16
    assert run_stage("clean", run).counts["rows_in"] == 16
    silver = latest_version(spark, s3_lake, "silver.airlines")
    assert read_at(spark, s3_lake, "silver.airlines", silver).count() == 16

    assert run_stage("ingest", run).counts["rows_out"] == 0
    assert run_stage("clean", run).counts["rows_in"] == 0
    assert latest_version(spark, s3_lake, "silver.airlines") == silver
    assert "silver.airlines" in tables_of(spark, s3_lake)


def test_petastorm_reads_live_rows_of_a_table_in_a_bucket_and_vacuum_keeps_what_is_pinned(
    spark, s3_lake
):
    for scale in (1, 2):
        frame = spark.range(0, 1000, 1, 2).selectExpr(
            "'train' AS _split",
            "id AS _position",
            f"CAST(id * {scale} AS FLOAT) AS a",
            "CAST(id % 2 AS FLOAT) AS _label",
        )
        replace_slice(frame, s3_lake, "gold.tiny", "true", partition_by=["_split"])
    place = s3_lake.path("gold.tiny")
    spark.sql(f"DELETE FROM delta.`{place}` WHERE _position % 10 = 3")
    rows = open_table(place, FeedColumns(numeric=("a",)), batch_size=128)
    values = sorted(float(v) for x, _ in rows for v in x["numeric"].numpy().ravel())
    assert values == [2.0 * i for i in range(1000) if i % 10 != 3]

    pinned, live = take_snapshot(place, 1), take_snapshot(place)
    pin = Pin("flights", "run-1", "gold.tiny", 1, files_of(pinned), "nowhere")
    spark.sql(
        f"ALTER TABLE delta.`{place}` SET TBLPROPERTIES "
        "('delta.deletedFileRetentionDuration' = 'interval 0 seconds')"
    )
    kept = vacuum_table(spark, s3_lake, "gold.tiny", [pin])
    assert (kept.removed_files, kept.kept_for) == (0, {"run-1": len(pin.files)})
    gone = vacuum_table(spark, s3_lake, "gold.tiny", [])
    assert gone.removed_files == len(pin.files)
    assert list_files(spark, place).keys() == files_of(live)


def test_small_files_in_a_bucket_are_written_whole_and_read_by_both_doors(spark, s3_lake):
    place = s3_lake.state("flights", "normalize", "spec")
    files.write_text(spark, place, "one")
    files.write_text(spark, place, "two")
    assert files.read_text(spark, place) == "two"
    folder = Folder(place.rpartition("/")[0])
    assert (folder.read("spec.json"), folder.names()) == (b"two", ["spec.json"])
    folder.write("deep/er.json", b"{}")
    assert folder.below("deep").names() == ["er.json"]
    folder.remove("deep")
    assert (folder.names(), folder.read("deep/er.json")) == (["spec.json"], None)
    files.delete(spark, place)
    assert files.read_text(spark, place) is None


def test_a_store_that_does_not_answer_is_told_at_once(spark, s3_lake, open_test_run, monkeypatch):
    missing = Lake(s3_lake.root.replace("tests-", "missing-"))
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    name, other = (one.root.split("/")[2] for one in (s3_lake, missing))
    for key in ("endpoint", "endpoint.region", "path.style.access", "access.key", "secret.key"):
        value = settings.get(f"fs.s3a.bucket.{name}.{key}")
        settings.set(f"fs.s3a.bucket.{other}.{key}", value)
    with pytest.raises(LakeError, match=r"missing-.* can't be reached: .*AWS_ACCESS_KEY_ID"):
        open_test_run(lake=missing)
    with pytest.raises(LakeError, match=r"nostore://.* can't be reached: .*No FileSystem"):
        open_test_run(lake=Lake("nostore://bucket/lake"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI"):
        tracking_uri(s3_lake)


def test_a_local_file_is_replaced_in_one_go_and_hadoop_trusts_it(spark, tmp_path: Path):
    place = str(tmp_path / "state.json")
    system, path = files.file_system(spark, place)
    stream = system.create(path, True)  # as Hadoop writes it: with a checksum beside it
    stream.write(bytearray(b"old"))
    stream.close()
    files.write_text(spark, place, "new")
    assert files.read_text(spark, place) == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
