"""Landing folders as they are found: links, odd names, files that can't be read, corrections."""

from __future__ import annotations

import gzip
import os
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config.ingest import Source
from pipelines.errors import LandingError, SettingsError
from pipelines.ingest import files as landing_files
from pipelines.ingest.ledger import Intent
from pipelines.ingest.source import ingest_sources
from pipelines.lake import write
from tests.integration.test_ingest import CSV, JSON, PARQUET, T0, Place, write_parquet

pytestmark = pytest.mark.spark


@pytest.fixture
def place(spark, tmp_path) -> Place:
    """An empty place with one source, `csv`."""
    found = Place(spark, tmp_path)
    (found.landing / "csv").mkdir(parents=True)
    return found


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def many_lines(line: str) -> bytes:
    numbers = random.Random(1)
    return "".join(line.format(numbers.random()) for _ in range(20_000)).encode()


def test_a_bad_file_is_put_aside_by_name_and_the_others_go_on_in_the_same_run(place, caplog):
    place.sources = {"csv": CSV, "json": JSON, "parquet": PARQUET}
    place.put("csv/good.csv", "a,b\n1,x\n")
    place.put("csv/cut.csv.gz", half(gzip.compress(b"a,b\n" + many_lines("{},x\n"))))
    place.put("json/good.json", '{"a":1,"b":"x"}')
    place.put("json/cut.json.gz", half(gzip.compress(many_lines('{{"a":{},"b":"x"}}\n'))))
    numbers = random.Random(1)
    drawn = [numbers.random() for _ in range(20_000)]
    write_parquet(place.landing / "parquet/good.parquet", a=[1.5], b=["x"])
    table = pa.table({"a": drawn, "b": ["x"] * len(drawn)})
    # Packed by gz: without a checksum nobody could tell that other bytes are other values.
    pq.write_table(table, place.landing / "parquet/page.parquet", compression="gzip")
    page = bytearray((place.landing / "parquet/page.parquet").read_bytes())
    page[3_000:40_000] = b"\xff" * 37_000
    place.put("parquet/page.parquet", bytes(page))
    place.put("parquet/cut.parquet", half(bytes(page)))
    for name in place.sources:
        (place.landing / name / f"gone.{name}").symlink_to("nowhere")

    outcomes = place.ingest()
    for name, outcome in outcomes.items():
        assert (outcome.records, outcome.rows, outcome.malformed) == (1, 1, 0), name
        assert f"{name}: put aside {name}/gone.{name}: can't be read: " in caplog.text
        bad = place.table(f"{name}_rejected").where("raw IS NULL")
        reasons = {row["_source_file"]: row["reason"] for row in bad.collect()}
        assert reasons == outcome.rejected
        assert place.rows(f"{name}_files", "path", "status", "records") == sorted(
            [(f"{name}/good.{name}", "ingested", 1), *((bad, "rejected", 0) for bad in reasons)]
        )
    assert outcomes["csv"].rejected["csv/cut.csv.gz"].startswith("damaged: ")
    cut = outcomes["json"].rejected["json/cut.json.gz"]
    assert cut == "damaged: its compressed data end too early"
    rejected = outcomes["parquet"].rejected
    assert rejected["parquet/page.parquet"].startswith("damaged: ")
    assert rejected["parquet/cut.parquet"].startswith("no Parquet file: damaged: ")

    # Nothing is tried in vain without a word, nor written again; what becomes readable is read.
    before = place.versions()
    caplog.clear()
    outcomes = place.ingest()
    assert place.versions() == before
    for name in place.sources:
        assert list(outcomes[name].rejected) == [f"{name}/gone.{name}"]
        assert f"{name}: still put aside {name}/gone.{name}: can't be read: " in caplog.text
    place.put("csv/cut.csv.gz", gzip.compress(b"a,b\n2,y\n"), T0 - 60)
    place.put("csv/nowhere", "a,b\n3,z\n", T0)
    outcome = place.ingest()["csv"]
    assert (outcome.files, outcome.corrected) == (1, 1), "the link is no second file"
    assert place.rows("csv", "a") == [("1",), ("2",), ("3",)]
    assert place.ingest()["csv"].rejected == {}


def test_a_run_killed_after_it_found_a_bad_file_is_finished_without_that_file(place, monkeypatch):
    place.put("csv/good.csv", "a,b\n1,x\n")
    gone = place.landing / "csv/gone.csv"
    gone.symlink_to("nowhere")
    real = write.append_once

    def killed(df, lake, table, app_id, txn_version):
        real(df, lake, table, app_id, txn_version)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(write, "append_once", killed)
        with pytest.raises(RuntimeError, match="killed"):
            place.ingest()
    (place.landing / "csv/nowhere").write_text("a,b\n2,y\n")
    outcome = place.ingest()["csv"]
    assert list(outcome.rejected) == ["csv/gone.csv"], "as it was found by the first run"
    assert place.rows("csv", "a") == [("1",), ("2",)], "and read as a file of its own then"


def test_corrected_and_new_files_are_one_commit_a_table(place):
    place.sources = {"csv": CSV.model_copy(update={"on_change": "correction"})}
    for number in range(12):
        place.put(f"csv/{number}.csv", f"a,b\n{number},old\n")
    place.ingest()
    before = place.versions()
    for number in range(10):
        place.put(f"csv/{number}.csv", f"a,b\n{number},new\n{number}\n", T0 + 1)
    place.put("csv/12.csv", "a,b\n12,new\n")
    outcome = place.ingest()["csv"]
    assert (outcome.files, outcome.corrected, outcome.rows, outcome.malformed) == (1, 10, 11, 10)
    assert {name: version - before[name] for name, version in place.versions().items()} == {
        "bronze.csv": 1,
        "bronze.csv_rejected": 1,
        "bronze.csv_files": 1,
    }
    assert len(place.rows("csv", "a")) == 12 + 11


def test_links_and_names_of_any_letters(place):
    place.sources = {"csv": CSV, "by_glob": CSV.model_copy(update={"path": "csv/*\u00e4*"})}
    place.put("csv/\u00e4 \u2028[1].csv", "a,b\n1,x\n")
    place.put("csv/deep/b.csv", "a,b\n2,y\n")
    (place.landing / "csv/loop").symlink_to(".")
    (place.landing / "csv/again.csv").symlink_to("deep/b.csv")
    bad = Path(os.fsdecode(os.fsencode(place.landing) + b"/csv/\xe4.csv"))
    bad.write_text("a,b\n3,z\n")
    outcomes = place.ingest()
    assert place.rows("csv", "a", "_source_file") == [
        ("1", "csv/\u00e4 \u2028[1].csv"),
        ("2", "csv/deep/b.csv"),
    ]
    reason = "its name is no UTF-8 text; deliver it under another one"
    assert outcomes["csv"].rejected == {"csv/\\xe4.csv": reason}
    assert place.rows("by_glob", "a") == [("1",)]
    assert place.ingest()["csv"].rejected == {}, "it was told, and stays aside"


def test_where_java_reads_no_letters_beyond_ascii_the_run_says_so(place, monkeypatch):
    monkeypatch.setattr(landing_files, "_java_encoding", lambda _: "ANSI_X3.4-1968")
    place.put("csv/a.csv", "a,b\n1,x\n")
    place.ingest()
    place.put("csv/\u00e4.csv", "a,b\n1,x\n")
    for path in ("csv", "c*"):
        place.sources = {"csv": Source(path=path, columns=("a", "b"))}
        with pytest.raises(LandingError, match=r"locale without them \(ANSI_X3.*LC_ALL=C\.UTF-8"):
            place.ingest()
    with pytest.raises(LandingError, match="beyond ASCII"):
        ingest_sources(place.spark, place.lake, "toy", f"{place.folder}/\u00e4", place.sources)


def test_a_file_that_was_put_aside_for_the_settings_is_read_once_they_are_right(place, caplog):
    def declare(**settings):
        place.sources = {"csv": Source(path="csv", **settings)}
        return place.ingest()["csv"]

    place.put("csv/a.csv", "a;b\n1;x\n")
    place.put("csv/cut.csv.gz", half(gzip.compress(b"a;b\n" + many_lines("{};x\n"))))
    first = declare(columns=("a", "b"))
    assert set(first.rejected) == {"csv/a.csv", "csv/cut.csv.gz"}
    assert declare(columns=("a", "b")).rejected == {}, "nothing changed"
    # Settings that are wrong another way: the reason that the tables tell is today's.
    second = declare(columns=("a", "c"), options={"sep": ";"})
    assert second.rejected == {
        "csv/a.csv": "columns differ from those declared: missing 'c'; not declared 'b'"
    }
    for _ in range(2):
        third = declare(columns=("a", "b"), options={"sep": ";"})
    assert (third.rows, third.rejected) == (0, {}), "read once"
    assert place.rows("csv", "a", "b") == [("1", "x")]
    reasons = [row[0] for row in place.rows("csv_rejected", "reason")]
    assert len([one for one in reasons if one.startswith("damaged")]) == 1
    assert len(reasons) == 3


def test_files_that_stay_aside_under_other_settings_are_told_once_and_nothing_is_written(
    place, caplog
):
    place.put("csv/a.csv", "x,y\n1,x\n")
    place.put("csv/b.csv", "a,b\n1,x\n")
    place.ingest()
    before = place.versions()
    place.sources = {"csv": Source(path="csv", columns=("a", "b"), options={"quote": "'"})}
    caplog.clear()
    tried = place.ingest()["csv"]
    assert (tried.rows, set(tried.rejected)) == (0, {"csv/a.csv"})
    assert "csv: still put aside csv/a.csv: columns differ" in caplog.text
    assert place.ingest()["csv"].rejected == {}, "once by the same settings"
    assert place.versions() == before


def test_what_an_older_release_put_aside_is_tried_but_is_no_failure_of_this_run(place, caplog):
    place.put("csv/a.csv", "x,y\n1,x\n")
    place.ingest()
    intent = Intent(place.spark, place.lake, "toy", "csv")
    intent.note(replace(intent.last(), read_with=""))
    caplog.clear()
    assert place.ingest()["csv"].rejected == {}
    assert "csv: still put aside csv/a.csv: columns differ" in caplog.text


@pytest.mark.parametrize("killed_after", ["bronze.csv", "bronze.csv_rejected", "bronze.csv_files"])
def test_a_second_try_that_is_killed_between_its_writes_is_finished_and_doubles_nothing(
    place, monkeypatch, killed_after
):
    place.put("csv/a.csv", "a;b\n1;x\n2\n")
    place.ingest()
    wrong, right = place.sources["csv"], CSV.model_copy(update={"options": {"sep": ";"}})
    place.sources = {"csv": right}
    real = write.append_once

    def killed(df, lake, table, app_id, txn_version):
        version = real(df, lake, table, app_id, txn_version)
        if table == killed_after:
            raise RuntimeError("killed")
        return version

    with monkeypatch.context() as patch:
        patch.setattr(write, "append_once", killed)
        with pytest.raises(RuntimeError, match="killed"):
            place.ingest()
    if killed_after != "bronze.csv_files":
        place.sources = {"csv": wrong}
        with pytest.raises(SettingsError, match=r"`schema_drift` of .* back as they were"):
            place.ingest()
        place.sources = {"csv": right}
    for _ in range(2):
        place.ingest()
    assert place.rows("csv", "a", "b") == [("1", "x")]
    assert place.rows("csv_rejected", "raw") == [("2",), (None,)]
    assert [one[1] for one in place.rows("csv_files", "path", "status")] == [
        "corrected",
        "rejected",
    ]


def test_a_run_killed_before_its_first_row_may_be_finished_by_other_settings(place, monkeypatch):
    place.put("csv/a.csv", "a;b\n1;x\n")
    place.sources = {"csv": CSV.model_copy(update={"schema_drift": "ignore"})}

    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(write, "append_once", killed)
        with pytest.raises(RuntimeError, match="killed"):
            place.ingest()
    place.sources = {"csv": CSV.model_copy(update={"options": {"sep": ";"}})}
    place.ingest()
    assert place.rows("csv", "a", "b") == [("1", "x")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_text_of_another_encoding_than_the_settings_is_put_aside_in_words(place, encoding):
    place.put("csv/a.csv", "a,b\n1,x\n")
    place.sources = {"csv": Source(path="csv", columns=("a", "b"), options={"encoding": encoding})}
    (reason,) = place.ingest()["csv"].rejected.values()
    assert "`options.encoding`" in reason
