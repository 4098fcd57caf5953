"""Small files are put together, settings reach tables that are there, training sets stay."""

from __future__ import annotations

import pytest

from pipelines.config.load import load_pipeline
from pipelines.config.maintenance import Maintenance
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.lake.write import append_once, create_if_absent
from pipelines.maintenance.tidy import Tidied, properties, tidy
from tests.conftest import ROOT


def test_the_log_must_outlast_the_files():
    with pytest.raises(ValueError, match=r"`log_days: 10` is less than `deleted_files_days: 400`"):
        Maintenance(log_days=10)


def test_days_become_intervals_and_silver_has_deletion_vectors():
    found = properties("silver.flights", Maintenance(deleted_files_days=0.5, log_days=30))
    assert found == {
        "delta.deletedFileRetentionDuration": "interval 43200 seconds",
        "delta.logRetentionDuration": "interval 30 days",
        "delta.enableDeletionVectors": "true",
    }
    assert "delta.enableDeletionVectors" not in properties("bronze.x", Maintenance())


def test_nothing_is_said_of_a_table_that_is_as_it_should_be():
    assert Tidied("silver.x").line() == ""
    assert Tidied("silver.x", {"clustering": "a"}, 3, 1).line() == (
        "silver.x: clustering is now a, 3 files put together as 1"
    )


@pytest.mark.spark
def test_tables_are_brought_to_their_settings_once(spark, lake):
    pipeline = load_pipeline("flights", None, ["landing=nowhere"], lake.root, ROOT)
    entity = pipeline.clean.entities["airlines"].model_copy(update={"cluster_by": ("carrier",)})
    entities = {**pipeline.clean.entities, "airlines": entity}
    settings = Maintenance(deleted_files_days=30, log_days=60)
    pipeline = pipeline.model_copy(
        update={
            "clean": pipeline.clean.model_copy(update={"entities": entities}),
            "maintenance": settings,
        }
    )
    # A table of an earlier day: no deletion vectors, not clustered, a small file for each append.
    rows = spark.createDataFrame([("UA", "United")], "carrier STRING, name STRING")
    create_if_absent(
        spark, lake, "silver.airlines", rows.schema, (), {"delta.enableDeletionVectors": "false"}
    )
    laid_out = spark.range(0, 50, 1, 1).selectExpr("id AS _position", "id AS a")
    for number in range(3):
        append_once(rows, lake, "silver.airlines", "test", number)
        append_once(laid_out, lake, "gold.flights_training", "test", number)
    append_once(rows, lake, "silver.of_another_pipeline", "test", 0)
    before = take_snapshot(lake.path("gold.flights_training")).files

    found = {one.table: one for one in tidy(spark, lake, pipeline)}
    assert sorted(found) == ["gold.flights_training", "silver.airlines"]
    silver = found["silver.airlines"]
    assert (silver.files_before, silver.files_after) == (3, 1)
    assert silver.changed == {
        "delta.deletedFileRetentionDuration": "interval 30 days",
        "delta.logRetentionDuration": "interval 60 days",
        "delta.enableDeletionVectors": "true",
        "clustering": "carrier",
    }
    version = latest_version(spark, lake, "silver.airlines")
    assert read_at(spark, lake, "silver.airlines", version).count() == 3
    assert len(take_snapshot(lake.path("silver.airlines")).files) == 1
    assert take_snapshot(lake.path("gold.flights_training")).files == before

    again = {one.table: one.line() for one in tidy(spark, lake, pipeline)}
    assert again == {"gold.flights_training": "", "silver.airlines": ""}
    assert latest_version(spark, lake, "silver.airlines") == version
