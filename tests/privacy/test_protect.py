"""What is kept of marked columns, and how pseudonyms come to newer keys."""

import hashlib
import hmac
import json
import os

import pytest
from chispa import assert_df_equality
from delta.tables import DeltaTable
from typer.testing import CliRunner

from pipelines.config.privacy import Mark
from pipelines.errors import LockTimeout, SettingsError
from pipelines.lake.changes import change_feed
from pipelines.lake.lock import write_lock
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import replace_slice
from pipelines.privacy.keys import check_keys, note_keys, pseudonym, pseudonyms
from pipelines.privacy.protect import Protection, protect
from pipelines.privacy.rotate import rotate_tables


def _hmac(number: int, text: str) -> str:
    key = os.environ[f"TIDEMILL_SECRET_K{number}"].encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_a_pseudonym_of_a_newer_key_is_made_from_the_older_one() -> None:
    assert pseudonym(["k1"], "Ann") == f"k1:{_hmac(1, 'Ann')}"
    assert pseudonym(["k1", "k2"], "Ann") == f"k2:{_hmac(2, _hmac(1, 'Ann'))}"
    assert pseudonyms(["k1", "k2"], "Ann") == [
        pseudonym(["k1"], "Ann"),
        pseudonym(["k1", "k2"], "Ann"),
    ]


def test_each_mark_keeps_what_it_says_and_no_more(spark) -> None:
    marks = {
        "email": Mark(action="pseudonymize"),
        "name": Mark(action="drop"),
        "phone": Mark(action="mask", keep=2),
        "born": Mark(action="generalize", to="year"),
        "joined": Mark(action="generalize", to="year", format="dd.MM.yyyy"),
        "zip": Mark(action="generalize", to="prefix", keep=2),
    }
    protection = Protection(marks, ["k1"], frozenset({"NA"}))
    columns = "email string, name string, phone string, born string, joined string, zip string"
    rows = spark.createDataFrame(
        [
            (" ann@x ", "Ann", "0170-123", "1984-07-13", "13.07.1984", "98765"),
            ("Änn", "Ann", "12", "1984", "1984", "9"),
            ("NA", None, "", "next year", "1984-07-13", None),
            (None, "", None, None, None, "NA"),
        ],
        columns,
    )
    kept = spark.createDataFrame(
        [
            (pseudonym(["k1"], "ann@x"), None, "***23", "1984", "1984", "98"),
            (pseudonym(["k1"], "Änn"), None, "***", "1984", "1984", "9"),
            ("NA", None, "", "(unreadable)", "(unreadable)", None),
            (None, None, None, None, None, "NA"),
        ],
        columns,
    )

    protected = protect(rows, protection)
    assert_df_equality(protected, kept, ignore_nullable=True)
    assert_df_equality(protect(protected, protection), kept, ignore_nullable=True)


def test_dates_and_numbers_of_parquet_files_become_texts(spark) -> None:
    rows = spark.sql("SELECT DATE'1984-07-13' AS born, 4711 AS id")
    marks = {
        "born": Mark(action="generalize", to="year"),
        "id": Mark(action="pseudonymize"),
        "absent": Mark(action="drop"),
    }
    row = protect(rows, Protection(marks, ["k1"])).head()
    assert row.asDict() == {"born": "1984", "id": pseudonym(["k1"], "4711")}


def test_a_rotation_brings_old_pseudonyms_to_the_new_key_and_can_be_repeated(spark, lake) -> None:
    keys = ["k1", "k2", "k3"]
    old = [pseudonym(keys[:1], "Ann"), pseudonym(keys[:2], "Bob"), pseudonym(keys, "Cem"), "k1: no"]
    rows = spark.createDataFrame([(text, n) for n, text in enumerate(old)], "who string, n int")
    replace_slice(rows, lake, "silver.people", "true")
    replace_slice(rows.select("n"), lake, "silver.numbers", "true")

    tables = ["silver.numbers", "silver.people"]
    assert rotate_tables(spark, lake, tables, keys) == {"silver.people": 2}
    version = latest_version(spark, lake, "silver.people")
    found = read_at(spark, lake, "silver.people", version).orderBy("n").collect()
    new = [pseudonym(keys, name) for name in ("Ann", "Bob", "Cem")]
    assert [row.who for row in found] == [*new, "k1: no"]
    assert rotate_tables(spark, lake, tables, keys) == {}
    assert latest_version(spark, lake, "silver.people") == version


def test_a_rotation_changes_nothing_but_pseudonyms_and_where_they_are_partitions(
    spark, lake
) -> None:
    old = [pseudonym(["k1"], name) for name in ("Ann", "Bob")]
    columns = "`who-is` string, other string, n int"
    rows = [(old[0], old[1], 1), (old[0], None, 2), ("Cem", old[0], 3), (None, "x", 4)]
    replace_slice(spark.createDataFrame(rows, columns), lake, "silver.people", "true", ["other"])
    before = latest_version(spark, lake, "silver.people")

    keys = ["k1", "k2"]
    assert rotate_tables(spark, lake, ["silver.people"], keys) == {"silver.people": 3}
    ann, bob = (pseudonym(keys, name) for name in ("Ann", "Bob"))
    renewed = [(ann, bob, 1), (ann, None, 2), ("Cem", ann, 3), (None, "x", 4)]
    after = latest_version(spark, lake, "silver.people")
    found = read_at(spark, lake, "silver.people", after).orderBy("n")
    assert_df_equality(found, spark.createDataFrame(renewed, columns), ignore_nullable=True)
    (partition,) = DeltaTable.forPath(spark, lake.path("silver.people")).detail().collect()
    assert partition["partitionColumns"] == ["other"]
    feed = change_feed(spark, lake, "silver.people", before, after)
    assert {(row["_change_type"], row["n"]) for row in feed.collect()} == {
        (kind, n) for kind in ("update_preimage", "update_postimage") for n in (1, 2, 3)
    }, "no row counts as a new one"


def test_a_row_that_another_run_appends_while_the_rotation_works_stays(
    spark, lake, monkeypatch
) -> None:
    from pipelines.privacy import rotate

    keys = ["k1", "k2"]
    columns, old = "who string, n int", [pseudonym(["k1"], name) for name in ("Ann", "Bob")]
    replace_slice(spark.createDataFrame([(old[0], 1)], columns), lake, "predictions.p", "true")

    def read_then_overtaken(*given):
        rows = read_at(*given)
        late = spark.createDataFrame([(old[1], 2)], columns)  # as on an object store: no lock
        late.write.format("delta").mode("append").save(lake.path("predictions.p"))
        return rows

    def found():
        version = latest_version(spark, lake, "predictions.p")
        return {
            (row["who"], row["n"])
            for row in read_at(spark, lake, "predictions.p", version).collect()
        }

    monkeypatch.setattr(rotate, "read_at", read_then_overtaken)
    assert rotate_tables(spark, lake, ["predictions.p"], keys) == {"predictions.p": 1}
    assert found() == {(pseudonym(keys, "Ann"), 1), (old[1], 2)}
    monkeypatch.undo()
    assert rotate_tables(spark, lake, ["predictions.p"], keys) == {"predictions.p": 1}
    assert found() == {(pseudonym(keys, "Ann"), 1), (pseudonym(keys, "Bob"), 2)}


def test_the_command_rotates_the_tables_of_its_pipeline_and_names_the_others(
    spark, lake, monkeypatch
) -> None:
    from pipelines.cli import app

    monkeypatch.setattr("pipelines.runner.spark_session", lambda *_, **__: spark)
    rows = spark.createDataFrame([(pseudonym(["k1"], "Ann"),)], "tailnum string")
    for table in ("silver.planes", "silver.people"):
        replace_slice(rows, lake, table, "true")
    note_keys(spark, lake, "flights", ["k1"])
    settings = ["flights", "--lake", lake.root, "--set", "privacy.keys=[k1,k2]"]
    cli = CliRunner()

    refused = cli.invoke(app, ["clean", *settings])
    assert (refused.exit_code, "Run `tidemill rotate flights`" in refused.stderr) == (2, True)

    def while_others_wait(*given):
        for stage in ("clean", "featurize", "monitor"):
            place = lake.checkpoint("flights", stage, "all")
            with pytest.raises(LockTimeout), write_lock(place, timeout=0):
                pass
        return rotate_tables(*given)

    monkeypatch.setattr("pipelines.privacy.rotate.rotate_tables", while_others_wait)
    done = cli.invoke(app, ["rotate", *settings, "--json"])
    assert done.exit_code == 0, done.stderr
    found = {"key": "k2", "tables": {"silver.planes": 1}, "left": ["silver.people"]}
    assert json.loads(done.stdout) == found
    version = latest_version(spark, lake, "silver.planes")
    assert read_at(spark, lake, "silver.planes", version).head()[0] == pseudonym(
        ["k1", "k2"], "Ann"
    )
    check_keys(spark, lake, "flights", ["k1", "k2"])
    again = cli.invoke(app, ["rotate", *settings])
    assert "nothing to rotate" in again.stdout
    assert "left alone, not of flights as it is set now: silver.people" in again.stdout


def test_a_lake_knows_its_keys(spark, lake, monkeypatch) -> None:
    check_keys(spark, lake, "people", [])
    check_keys(spark, lake, "people", ["k1"])
    check_keys(spark, lake, "people", ["k1"])
    with pytest.raises(SettingsError, match="Run `tidemill rotate people`"):
        check_keys(spark, lake, "people", ["k1", "k2"])
    with pytest.raises(SettingsError, match="A key is appended at the end"):
        check_keys(spark, lake, "people", ["k2"])
    check_keys(spark, lake, "people", ["k1", "k2"], may_be_more=True)
    note_keys(spark, lake, "people", ["k1", "k2"])
    check_keys(spark, lake, "people", ["k1", "k2"])
    monkeypatch.setenv("TIDEMILL_SECRET_K1", "x" * 40)
    with pytest.raises(SettingsError, match="TIDEMILL_SECRET_K1 is not the key 'k1'"):
        check_keys(spark, lake, "people", ["k1", "k2"])
    monkeypatch.setenv("TIDEMILL_SECRET_K1", "short")
    with pytest.raises(SettingsError, match="is too short"):
        check_keys(spark, lake, "people", ["k1"])
    monkeypatch.delenv("TIDEMILL_SECRET_K1")
    with pytest.raises(SettingsError, match="is not set"):
        check_keys(spark, lake, "people", ["k1"])


def test_a_plan_names_the_variable_and_holds_no_key(spark) -> None:
    rows = spark.range(1).selectExpr("CAST(id AS string) AS id")
    protected = protect(rows, Protection({"id": Mark(action="pseudonymize")}, ["k1", "k2"]))
    text = protected._jdf.queryExecution().toString()
    assert "TIDEMILL_SECRET_K1" in text
    assert os.environ["TIDEMILL_SECRET_K1"] not in text
