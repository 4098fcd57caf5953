"""Ingest on real files and Delta tables: every trap of the file source, and everything twice."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.config.ingest import Source
from pipelines.errors import FileChanged, LandingError, SchemaError
from pipelines.ingest.outcome import Outcome
from pipelines.ingest.source import ingest_sources
from pipelines.lake import write
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, table_exists
from pipelines.lake.tenant import confine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

DAY = 86_400
T0 = 1_357_000_000  # seconds; every file of these tests has a time of its own
CSV = Source(path="csv", columns=("a", "b"))
JSON = Source(path="json", format="json", columns=("a", "b"))
PARQUET = Source(path="parquet", format="parquet", columns=("a", "b"))
AUDIT = {"_ingested_at"}


@dataclass
class Place:
    """A landing folder and a lake."""

    spark: SparkSession
    folder: Path
    sources: dict[str, Source] = field(default_factory=lambda: {"csv": CSV})

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"))

    def put(self, name: str, content: bytes | str, time: float = T0) -> Path:
        file = self.landing / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(file, (time, time))
        return file

    def ingest(self) -> dict[str, Outcome]:
        return ingest_sources(self.spark, self.lake, "toy", str(self.landing), self.sources)

    def table(self, name: str) -> DataFrame:
        return self.spark.read.format("delta").load(self.lake.path(f"bronze.{name}"))

    def rows(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        return sorted(
            (tuple(row) for row in self.table(name).selectExpr(*columns).collect()), key=str
        )

    def content(self) -> dict[str, list[str]]:
        """Everything in the lake but what is only for audit."""
        found = {}
        for folder in sorted((self.folder / "lake" / "bronze").iterdir()):
            if not folder.name.startswith("_"):
                df = self.table(folder.name)
                columns = [name for name in df.columns if name not in AUDIT]
                found[folder.name] = sorted(map(str, df.select(*columns).collect()))
        return found

    def versions(self) -> dict[str, int]:
        names = [f"bronze.{folder}" for folder in self.content()]
        return {name: latest_version(self.spark, self.lake, name) for name in names}


@pytest.fixture
def place(spark: SparkSession, tmp_path: Path) -> Place:
    """An empty place with one source, `csv`."""
    found = Place(spark, tmp_path)
    (found.landing / "csv").mkdir(parents=True)
    return found


def write_parquet(file: Path, **columns: list[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    os.utime(file, (T0, T0))


@dataclass
class Twice:
    """A place after two runs with nothing new between them."""

    place: Place
    first: dict[str, Outcome]
    second: dict[str, Outcome]
    before: tuple[dict[str, int], dict[str, list[str]]]
    after: tuple[dict[str, int], dict[str, list[str]]]


@pytest.fixture(scope="module")
def twice(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twice]:
    """Files of all formats, good and bad, ingested two times."""
    place = Place(spark, tmp_path_factory.mktemp("ingest"))
    place.sources = {
        "csv": CSV,
        "json": JSON,
        "parquet": PARQUET,
        "empty": Source(path="empty", columns=("a",)),
        "nothing": Source(path="nothing/*.csv", columns=("a",)),
    }
    (place.landing / "empty").mkdir(parents=True)
    put = place.put
    put("csv/plain.csv", "a,b\n1,one\n2,two\n")
    put("csv/order.csv", "b,a\nthree,3\n")
    put("csv/day=1/crlf.csv", "a,b\r\n4,four\r\n5,\r\n")
    put("csv/bom.csv", b"\xef\xbb\xbfa,b\n6,six\n")
    put("csv/a [1] {\u00fc}+%20.csv", 'a,b\n7,"se,ven"\n')
    put("csv/packed.csv.gz", gzip.compress(b"a,b\n8,eight\n"))
    put("csv/packed.csv.bz2", bz2.compress(b"b,a\nnine,9\n"))
    put("csv/header_only.csv", "a,b\n")
    put("csv/last_line_open.csv", "a,b\n10,ten")
    put("csv/malformed.csv", "a,b\n11,eleven\n12\n13,x,y\n14,fourteen\n")
    put("csv/latin_1.csv", b"a,b\n15,caf\xe9\n16,sixteen\n")
    put("csv/missing.csv", "a\n99\n")
    put("csv/extra.csv", "a,b,c\n99,99,99\n")
    put("csv/blank.csv", "\n\n")
    put("csv/empty.csv", "")
    put("csv/garbage.csv", bytes(range(256)) * 40)
    put("csv/not_packed.csv.gz", "a,b\n99,99\n")
    put("csv/_hidden.csv", "a,b\n99,99\n")
    put("csv/.part.csv", "a,b\n99,99\n")
    lines = ['{"a":1,"b":"one"}', "", '{"b":{"x":[1.50]}}', "5", '{"a":2', '{"a":1.50}']
    put("json/lines.json", "\n".join(lines))
    put("json/keys.json", '{"a":1}\n{"a":3,"c":1}\n')
    put("json/empty.json", "")
    write_parquet(place.landing / "parquet/1_good.parquet", a=[1, 2], b=["x", None])
    write_parquet(place.landing / "parquet/2_order.parquet", b=["y"], a=[3])
    write_parquet(place.landing / "parquet/3_types.parquet", a=[1.5], b=["z"])
    write_parquet(place.landing / "parquet/4_missing.parquet", a=[1])
    put("parquet/5_text.parquet", "no parquet at all")

    first = place.ingest()
    before = place.versions(), place.content()
    second = place.ingest()
    yield Twice(place, first, second, before, (place.versions(), place.content()))
    shutil.rmtree(place.folder)


def test_each_file_is_read_by_the_names_in_its_header(twice: Twice) -> None:
    assert twice.place.rows("csv", "a", "b", "_source_file") == [
        ("1", "one", "csv/plain.csv"),
        ("10", "ten", "csv/last_line_open.csv"),
        ("11", "eleven", "csv/malformed.csv"),
        ("14", "fourteen", "csv/malformed.csv"),
        ("16", "sixteen", "csv/latin_1.csv"),
        ("2", "two", "csv/plain.csv"),
        ("3", "three", "csv/order.csv"),
        ("4", "four", "csv/day=1/crlf.csv"),
        ("5", None, "csv/day=1/crlf.csv"),
        ("6", "six", "csv/bom.csv"),
        ("7", "se,ven", "csv/a [1] {\u00fc}+%20.csv"),
        ("8", "eight", "csv/packed.csv.gz"),
        ("9", "nine", "csv/packed.csv.bz2"),
    ]


def test_malformed_records_are_kept_aside_with_their_text_and_reason(twice: Twice) -> None:
    fields = "the record does not have the 2 fields of the header"
    rejected = twice.place.table("csv_rejected").where("raw IS NOT NULL")
    assert sorted(
        tuple(row) for row in rejected.select("_source_file", "raw", "reason").collect()
    ) == [
        ("csv/latin_1.csv", "15,caf\ufffd", "bytes that are no text of the file's encoding"),
        ("csv/malformed.csv", "12", fields),
        ("csv/malformed.csv", "13,x,y", fields),
    ]


def test_bad_files_are_put_aside_whole_and_the_others_go_on(twice: Twice) -> None:
    differ = "columns differ from those declared:"
    bad = twice.place.table("csv_rejected").where("raw IS NULL")
    reasons = dict(tuple(row) for row in bad.select("_source_file", "reason").collect())
    packed = reasons.pop("csv/not_packed.csv.gz")
    assert packed.startswith("damaged: ")
    assert reasons == {
        "csv/missing.csv": f"{differ} missing 'b'",
        "csv/extra.csv": f"{differ} not declared 'c'",
        "csv/blank.csv": "the file is empty: it has no header",
        "csv/garbage.csv": "no text: there are zero bytes at its beginning",
    }
    assert {**reasons, "csv/not_packed.csv.gz": packed} == twice.first["csv"].rejected


def test_the_ledger_tells_what_became_of_each_file(twice: Twice) -> None:
    ledger = twice.place.rows("csv_files", "path", "status", "records", "malformed", "length")
    assert len(ledger) == 16
    assert ("csv/malformed.csv", "ingested", 4, 2, 36) in ledger
    assert ("csv/header_only.csv", "ingested", 0, 0, 4) in ledger
    assert ("csv/missing.csv", "rejected", 0, 0, 5) in ledger


def test_json_values_keep_their_letters_and_bad_records_are_put_aside(twice: Twice) -> None:
    assert twice.place.rows("json", "a", "b") == [
        ("1", "one"),
        ("1.50", None),
        (None, '{"x":[1.50]}'),
    ]
    assert twice.place.rows("json_rejected", "raw", "reason") == [
        ("5", "the line is no JSON object"),
        ('{"a":2', "the line is no JSON object: Expecting ',' delimiter at letter 7"),
        (None, "columns differ from those declared: not declared 'c'"),
    ]


def test_parquet_keeps_its_types_and_files_of_other_types_are_put_aside(twice: Twice) -> None:
    assert twice.place.rows("parquet", "a", "b") == [(1, "x"), (2, None), (3, "y")]
    rejected = twice.first["parquet"].rejected
    assert rejected.pop("parquet/5_text.parquet").startswith("no Parquet file: damaged: ")
    assert rejected == {
        "parquet/3_types.parquet": "types differ from the table's: 'a' is double, expected bigint",
        "parquet/4_missing.parquet": "columns differ from those declared: missing 'b'",
    }


def test_records_read_are_rows_and_malformed_records(twice: Twice) -> None:
    figures = {name: (o.records, o.rows, o.malformed) for name, o in twice.first.items()}
    assert figures == {
        "csv": (16, 13, 3),
        "json": (5, 3, 2),
        "parquet": (3, 3, 0),
        "empty": (0, 0, 0),
        "nothing": (0, 0, 0),
    }


def test_rows_know_their_place_and_their_file(twice: Twice) -> None:
    rows = twice.place.table("csv").where("_source_file = 'csv/plain.csv'").orderBy("_row")
    found = rows.selectExpr("a", "unix_seconds(_source_modified_at)", "_batch").collect()
    assert [tuple(row) for row in found] == [("1", T0, 0), ("2", T0, 0)]


def test_a_second_run_with_nothing_new_writes_nothing(twice: Twice) -> None:
    assert twice.after == twice.before
    assert all(outcome == Outcome() for outcome in twice.second.values())


def test_an_empty_source_makes_no_table(twice: Twice) -> None:
    assert not table_exists(twice.place.spark, twice.place.lake, "bronze.empty")
    assert set(twice.before[1]) == {
        f"{name}{kind}"
        for name in ("csv", "json", "parquet")
        for kind in ("", "_files", "_rejected")
    }


def test_a_late_file_older_than_seven_days_is_read_and_a_changed_one_stops_the_run(
    place: Place,
) -> None:
    place.put("csv/new.csv", "a,b\n1,x\n", T0)
    place.ingest()
    place.put("csv/old.csv", "a,b\n2,y\n", T0 - 400 * DAY)
    assert place.ingest()["csv"].files == 1
    assert place.rows("csv", "a", "_batch") == [("1", 0), ("2", 1)]

    before = place.versions()
    place.put("csv/new.csv", "a,b\n1,z\n", T0 + 5)
    place.put("csv/third.csv", "a,b\n3,z\n", T0)
    with pytest.raises(FileChanged, match=r"csv/new\.csv of source 'csv' changed"):
        place.ingest()
    assert place.versions() == before


def test_a_correction_is_appended_once_and_a_rejected_file_can_be_mended(place: Place) -> None:
    place.sources = {"csv": CSV.model_copy(update={"on_change": "correction"})}
    place.put("csv/month.csv", "a,b\n1,x\n", T0)
    place.put("csv/bad.csv", "a\n1\n", T0)
    place.ingest()
    place.put("csv/month.csv", "a,b\n1,x\n2,y\n3\n", T0 + 60)
    place.put("csv/bad.csv", "a,b\n4,x\n", T0 + 60)
    outcome = place.ingest()["csv"]
    assert (outcome.files, outcome.corrected, outcome.rows, outcome.malformed) == (0, 2, 3, 1)
    written = place.versions()
    assert place.ingest()["csv"] == Outcome()
    assert place.versions() == written
    rows = place.rows("csv", "_source_file", "a", "unix_seconds(_source_modified_at)", "_batch")
    assert rows == [
        ("csv/bad.csv", "4", T0 + 60, 1),
        ("csv/month.csv", "1", T0, 0),
        ("csv/month.csv", "1", T0 + 60, 1),
        ("csv/month.csv", "2", T0 + 60, 1),
    ]
    assert place.rows("csv_files", "path", "status", "records", "malformed") == [
        ("csv/bad.csv", "corrected", 1, 0),
        ("csv/bad.csv", "rejected", 0, 0),
        ("csv/month.csv", "corrected", 3, 1),
        ("csv/month.csv", "ingested", 1, 0),
    ]


@pytest.mark.parametrize("killed_after", ["bronze.csv", "bronze.csv_rejected", "bronze.csv_files"])
def test_a_run_killed_between_its_writes_is_finished_by_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch, killed_after: str
) -> None:
    place.put("csv/first.csv", "a,b\n1,x\n2\n")
    real = write.append_once

    def killed(df: DataFrame, lake: Lake, table: str, app_id: str, txn_version: int) -> int:
        version = real(df, lake, table, app_id, txn_version)
        if table == killed_after:
            raise RuntimeError(f"killed after {table}")
        return version

    with monkeypatch.context() as patch:
        patch.setattr(write, "append_once", killed)
        with pytest.raises(RuntimeError, match=killed_after):
            place.ingest()
    place.put("csv/second.csv", "a,b\n3,z\n")
    place.ingest()
    assert place.rows("csv", "a", "_source_file") == [
        ("1", "csv/first.csv"),
        ("3", "csv/second.csv"),
    ]
    assert place.rows("csv_rejected", "raw") == [("2",)]
    assert place.rows("csv_files", "path", "records", "malformed") == [
        ("csv/first.csv", 2, 1),
        ("csv/second.csv", 1, 0),
    ]


def test_files_of_a_killed_run_that_left_or_changed_stop_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.put("csv/first.csv", "a,b\n1,x\n")

    def killed(*_: Any) -> int:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(write, "append_once", killed)
        with pytest.raises(RuntimeError, match="killed"):
            place.ingest()
    place.put("csv/first.csv", "a,b\n1,y\n", T0 + 1)
    with pytest.raises(FileChanged, match="changed after it was ingested"):
        place.ingest()
    file.unlink()
    with pytest.raises(FileChanged, match=r"no longer in .*: csv/first\.csv\. Put them back"):
        place.ingest()


def test_an_empty_file_is_left_alone_until_it_has_content(place: Place) -> None:
    place.put("csv/first.csv", "")
    assert place.ingest()["csv"] == Outcome()
    place.put("csv/first.csv", "a,b\n1,x\n", T0 + 1)
    place.put("csv/second.csv", "a,b\n2,x\n")
    assert place.ingest()["csv"].files == 2
    assert place.rows("csv", "a") == [("1",), ("2",)]
    assert place.rows("csv_files", "path", "status") == [
        ("csv/first.csv", "ingested"),
        ("csv/second.csv", "ingested"),
    ]


def test_a_lost_note_of_what_was_written_doubles_nothing(place: Place) -> None:
    place.put("csv/first.csv", "a,b\n1,x\n")
    place.ingest()
    shutil.rmtree(place.folder / "lake" / "_state")
    place.put("csv/second.csv", "a,b\n2,y\n")
    place.ingest()
    assert place.rows("csv", "a") == [("1",), ("2",)]
    assert place.rows("csv_files", "path") == [("csv/first.csv",), ("csv/second.csv",)]


def test_what_is_missing_is_named(place: Place) -> None:
    place.sources["more"] = Source(path="cvs", columns=("a",))
    said = r"the landing folder of source 'more' is missing.* Did you mean 'csv'\?"
    with pytest.raises(LandingError, match=said):
        place.ingest()
    shutil.rmtree(place.landing)
    with pytest.raises(LandingError, match=r"there is no landing folder .*of pipeline 'toy'\.$"):
        place.ingest()
    with pytest.raises(LandingError, match=r"`tidemill land flights --until DAY` delivers those"):
        ingest_sources(place.spark, place.lake, "flights", str(place.landing), place.sources)
    assert not (place.folder / "lake").exists()


def test_braces_in_the_landing_folder_lead_nowhere_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("csv/theirs.csv", "a,b\n1,x\n")
    acme = place.folder / "acme"
    own = acme / "{..,landing}"
    (own / "csv").mkdir(parents=True)
    (acme / "{.." / "landing,x}" / "csv").mkdir(parents=True)
    monkeypatch.setenv("TIDEMILL_TENANT_ROOT", str(acme))
    for landing in (f"{acme}/{{../landing,x}}", str(own)):
        confine(landing)
        assert ingest_sources(place.spark, place.lake, "toy", landing, place.sources) == {
            "csv": Outcome()
        }
    # A folder's brackets are its name, in globs of its sources too.
    (own / "csv" / "ours.csv").write_text("a,b\n2,y\n")
    sources = {"csv": Source(path="c*", columns=("a", "b"))}
    ingest_sources(place.spark, place.lake, "toy", str(own), sources)
    assert place.rows("csv", "_source_file", "b") == [("csv/ours.csv", "y")]


def test_a_file_outside_of_the_landing_folder_is_refused_however_it_was_found(
    place: Place,
) -> None:
    place.put("csv/first.csv", "a,b\n1,x\n")
    (place.folder / "other").mkdir()
    (place.folder / "other" / "theirs.csv").write_text("a,b\n1,x\n")
    (place.landing / "x").mkdir()
    for path in ("x{/.,q}.{/.,q}./other", "../other"):
        place.sources = {"csv": CSV.model_copy(update={"path": path})}
        with pytest.raises(LandingError, match="finds files outside of the landing folder"):
            place.ingest()
        assert not table_exists(place.spark, place.lake, "bronze.csv")


def test_a_lake_that_moved_goes_on_with_an_empty_landing_folder(place: Place) -> None:
    place.put("csv/first.csv", "a,b\n1,x\n")
    place.ingest()
    moved = Place(place.spark, place.folder / "elsewhere")
    shutil.copytree(place.folder / "lake", moved.folder / "lake")
    (moved.landing / "csv").mkdir(parents=True)
    assert moved.ingest() == {"csv": Outcome()}
    moved.put("csv/second.csv", "a,b\n2,y\n", T0 + DAY)
    assert moved.ingest()["csv"].rows == 1
    assert moved.rows("csv", "_source_file", "a") == [
        ("csv/first.csv", "1"),
        ("csv/second.csv", "2"),
    ]


def test_settings_that_no_longer_fit_the_table_stop_the_run(place: Place) -> None:
    place.put("csv/first.csv", "a,b\n1,x\n")
    place.ingest()
    place.sources = {"csv": Source(path="csv", columns=("a", "c"))}
    with pytest.raises(SchemaError, match=r"only the table has \['b'\], only the settings have"):
        place.ingest()


def test_rows_of_a_file_cut_in_many_pieces_keep_their_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.ingest import csv_census, csv_records, opened
    from pipelines.ingest.files import Landing
    from pipelines.ingest.records import read_records, sort_out

    monkeypatch.setattr(opened, "CHUNK", 100)
    monkeypatch.setattr(csv_census, "_PIECE", 200)
    monkeypatch.setattr(csv_records, "_BYTES_PER_TASK", 400)
    for name in ("one", "two"):
        lines = "".join(f"{number},{'x' * (number % 7)}\n" for number in range(300))
        place.put(f"csv/{name}.csv", f"a,b\n{lines}")
    landing = Landing.open(place.spark, str(place.landing), "toy")
    found = sort_out(place.spark, landing.list({"csv": CSV})["csv"], CSV)
    assert all(len(found.layouts[file].pieces) > 5 for file in found.files)
    records = read_records(place.spark, found, CSV)
    assert records.rdd.getNumPartitions() > 5
    rows = records.select("_number", "a", "_row").collect()
    for number in range(2):
        of_file = sorted((row["_row"], int(row["a"])) for row in rows if row["_number"] == number)
        assert [a for _, a in of_file] == [*range(300)]
        assert len({row for row, _ in of_file}) == 300


def test_the_stage_counts_what_it_took_in_and_twice_changes_nothing(
    open_test_run: Callable[..., Any], small_flights: Path, tmp_path: Path
) -> None:
    from pipelines.runner import run_stage

    landing = tmp_path / "landing"
    for name in ("planes/planes.csv", "airlines/airlines.csv", "airports/airports.csv"):
        shutil.copytree((small_flights / name).parent, (landing / name).parent)
    for name in ("schedules/2013-01-01.csv", "outcomes/2013-01-02.csv", "weather/2013-01.csv"):
        (landing / name).parent.mkdir()
        shutil.copy2(small_flights / name, landing / name)
    notes: list[dict[str, Any]] = []
    run = open_test_run(landing=landing, progress=notes.append)
    first = run_stage("ingest", run)
    assert first.counts["rows_in"] == first.counts["rows_out"] > 0
    assert {key: first.counts[f"schedules.{key}"] for key in ("files", "rows", "malformed")} == {
        "files": 1,
        "rows": 842,
        "malformed": 0,
    }
    assert first.written["bronze.schedules"] == 1
    details = json.loads(first.to_json())["details"]
    assert details == {"landing": str(landing), "rejected_files": {}}
    assert {"event": "note", "text": "airlines: 1 new file, 16 rows"} in notes
    second = run_stage("ingest", run)
    assert second.written == first.written, "nothing new, and the record says what is there"
    assert set(second.counts.values()) == {0}
