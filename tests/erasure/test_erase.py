"""A subject leaves a lake: every table, every version, and whatever kept its values."""

import json
from pathlib import Path

import pytest

from pipelines.config.clean import Entity
from pipelines.config.privacy import Mark
from pipelines.erasure import erase as erasing
from pipelines.erasure.erase import erase
from pipelines.erasure.search import Search, found_typed
from pipelines.erasure.subject import Subject
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.snapshot import take_snapshot
from pipelines.maintenance.pins import erased
from pipelines.privacy.keys import pseudonym
from pipelines.privacy.protect import Protection
from pipelines.registry.bundle import Bundle, save_bundle
from pipelines.runner import run_stage
from tests.privacy.planted import find, write_project

pytestmark = pytest.mark.spark
PERSON = "planted.person1@mail.example"
STAGES = ("ingest", "clean", "featurize", "normalize")
TABLES = {
    "bronze.customers": 1,
    "bronze.letters": 1,
    "bronze.cards": 1,
    "silver.customers": 1,
    "silver.letters": 1,
    "silver.cards": 1,
    "gold.customers": 1,
    "gold.customers_training": 1,
}


def _bundle(lake, run_id: str, snapshot) -> str:
    folder = f"{lake.training('people', run_id)}/bundle"
    tables = {"gold.customers_training": snapshot.version}
    manifest = {"run_id": run_id, "training_set": "gold.customers_training", "tables": tables}
    snapshots = {"train": json.loads(snapshot.to_json())}
    save_bundle(folder, Bundle(manifest, "{}", b"", [], {}, snapshots))
    return folder


def test_a_subject_leaves_every_table_and_its_history(
    spark, lake, open_test_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, "clean")
    run = open_test_run("people", env=None, root=tmp_path, lake=lake)
    results = {stage: run_stage(stage, run) for stage in STAGES}
    # A broken rule gives an example: the person's card.
    assert not results["clean"].details["table_rules"][0]["is_ok"]
    before = {t: spark.read.format("delta").load(lake.path(t)).count() for t in TABLES}
    jvm = spark._jvm.org.apache.spark.sql.delta.DeltaLog
    for table in ("bronze.customers", "silver.customers"):
        jvm.forTable(spark._jsparkSession, lake.path(table)).checkpoint()
    trained = _bundle(lake, "with", take_snapshot(lake.path("gold.customers_training")))
    texts = (PERSON, pseudonym(["k1"], PERSON))
    root = Path(lake.root)
    assert find([root / "bronze", root / "silver", root / "gold"], texts) != {}

    # Killed while it removes the first table's files, and run again.
    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "_remove", die)
        with pytest.raises(KeyboardInterrupt):
            erase(run, [f"email={PERSON}"])
    record = erase(run, [f"email={PERSON}"])

    assert {t: found.rows for t, found in record.tables.items() if found.rows} == TABLES
    assert find([root], texts) == {}
    for table, count in before.items():
        assert spark.read.format("delta").load(lake.path(table)).count() == count - TABLES[table]
    # The log is whole: its newest version is read from the start and from checkpoints.
    for table in TABLES:
        version = latest_version(spark, lake, table)
        assert take_snapshot(lake.path(table), version).num_rows == before[table] - TABLES[table]
    # Bundles, landing files, audit.
    assert record.bundles == ["people/with"]
    assert erased(trained) == {"erasure": record.erasure_id, "at": record.started_at}
    assert {Path(name).name for name in record.landing_files} == {"a.csv", "a.json", "a.parquet"}
    said = "\n".join(record.lines())
    assert "can't be reproduced" in said
    assert "Landing files are not tidemill's" in said
    assert "bronze.customers_files: not searched" in said
    audit = spark.read.format("delta").load(lake.path("monitoring.erasures")).collect()
    assert [row.erasure_id for row in audit] == [record.erasure_id]
    assert audit[0].key_hash.startswith("k1:")
    assert {row.table: row.rows for row in audit[0].tables} == TABLES

    # Repeated it finds nothing and says so; the stages go on.
    again = erase(run, [f"email={PERSON}"])
    assert again.erasure_id != record.erasure_id
    assert "no table holds such a row" in "\n".join(again.lines())
    after = open_test_run("people", env=None, root=tmp_path, lake=lake)
    for stage in STAGES[:3]:
        run_stage(stage, after)
    assert find([root], texts) == {}


def test_typed_rows_are_searched_as_clean_reads_them(spark) -> None:
    """The key has another name and format in bronze, and a part of it is derived."""
    columns = {"who": {"source": "mail"}, "born": {"type": "date", "format": "dd.MM.yyyy"}}
    entity = Entity.model_validate(
        {"source": "s", "key": "who", "columns": columns, "derive": {"born_year": "year(born)"}}
    )
    bronze = spark.createDataFrame(
        [(" ann@x", "13.07.1984", 1), ("ann@x", "13.07.1985", 2), ("bob@x", "13.07.1984", 3)],
        "mail string, born string, _row bigint",
    ).selectExpr(
        "*", "'a.csv' AS _source_file", "current_timestamp() AS _source_modified_at", "0 AS _batch"
    )
    subject = Subject.of(["who=ann@x", "born_year=1984"], ["k1"])
    marks = {"mail": Mark(action="pseudonymize")}

    for protection in (None, Protection(marks, ["k1"])):
        search = Search(subject, entities={"people": entity}, protection=protection)
        (found,) = found_typed(bronze, search)
        assert [row["_row"] for row in found.collect()] == [1]


@pytest.mark.slow
def test_a_key_under_another_name_and_derived_is_found_in_bronze(
    spark, lake, small_flights: Path, open_test_run
) -> None:
    """`flight_date` is made by `clean`, of three columns of text."""
    run = open_test_run(landing=small_flights)
    for stage in ("ingest", "clean"):
        run_stage(stage, run)
    key = ["flight_date=2013-01-07", "carrier=UA", "flight=1545", "origin=EWR"]
    day = "year = 2013 AND month = 1 AND day = 7 AND carrier = 'UA' AND flight = 1545"

    def rows(table: str) -> int:
        version = latest_version(spark, lake, table)
        return read_at(spark, lake, table, version).where(f"{day} AND origin = 'EWR'").count()

    tables = ("bronze.schedules", "bronze.outcomes", "silver.flights", "silver.outcomes")
    before = {table: rows(table) for table in tables}
    record = erase(run, key)

    assert {table: record.tables[table].rows for table in tables} == before
    assert sum(before.values()) >= 2
    assert [rows(table) for table in tables] == [0, 0, 0, 0]
