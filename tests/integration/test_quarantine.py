"""Rejected rows are looked at, corrected and put back."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cleaning.casts import RELEASE_BATCH
from pipelines.cleaning.quarantine import Choice, lines, read_csv, rejected_rows, write_csv
from pipelines.cleaning.release import release
from pipelines.config import Pipeline
from pipelines.config.clean import Clean
from pipelines.config.ingest import Ingest, Source
from pipelines.config.privacy import Privacy
from pipelines.errors import LakeError, SettingsError, UsageError
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version
from pipelines.lake.rows import rows_of
from pipelines.lake.write import create_if_absent
from pipelines.privacy.keys import pseudonym
from pipelines.privacy.protect import Protection, protect
from pipelines.run import Run
from pipelines.runner import work
from pipelines.stages.catalog import STAGES
from tests.integration.test_clean import DAY1, DAY2, DAY3, Workshop, went

pytestmark = pytest.mark.spark
COLUMNS = {"id": {"type": "int"}, "v": {"type": "double"}}
RULES = [{"name": "below_hundred", "check": "v < 100"}]


class Shop(Workshop):
    def rejected(self, choice=None):
        rows = rejected_rows(self.lake, self.pipeline(), "readings")
        return rows if choice is None else choice.of(rows)

    def pipeline(self, **settings):
        return super().pipeline(**{"columns": COLUMNS, "rules": RULES, **settings})

    def release(self, choice, run_id="by-hand", **changes):
        rows = [replace(one, changes=changes) for one in self.rejected(choice)]
        return release(Run(self.pipeline(), self.spark, self.lake, run_id), "readings", rows, "ann")

    def releases(self):
        return rows_of(self.lake, "monitoring.quarantine_releases")


@pytest.fixture(scope="module")
def cleaned(spark, tmp_path_factory):
    """A shop whose lake is there to be copied: one row in silver, three in quarantine."""
    shop = Shop(spark, Lake(str(tmp_path_factory.mktemp("cleaned") / "lake")))
    shop.deliver([("1", "1"), ("2", "200"), ("x", "3"), ("4", "400")], "a.csv", DAY1)
    shop.run(rules=RULES)
    return shop


@pytest.fixture
def shop(cleaned, lake):
    shutil.copytree(cleaned.lake.root, lake.root)
    return cleaned.on(lake)


def test_rejected_rows_are_shown_with_their_reasons(shop):
    rows = shop.rejected()
    assert {(one.row, one.reasons, one.values["v"]) for one in rows} == {
        (1, ("below_hundred",), "200"),
        (2, ("cast:id",), "3"),
        (3, ("below_hundred",), "400"),
    }
    (bad,) = Choice(reason="cast:id").of(rows)
    said = lines([bad], "readings", 3)
    assert said[0] == "1 of 3 rejected rows of readings"
    assert said[1:] == [f"{bad.id}  cast:id", "    a.csv, row 2, delivered 2013-01-01 06:00 UTC",
                        "    id=x v=3"]  # fmt: skip
    assert [one.row for one in Choice(key={"id": "4"}).of(rows)] == [3]
    with pytest.raises(UsageError, match="'w' is no column of the source"):
        Choice(key={"w": "4"}).of(rows)
    with pytest.raises(UsageError, match="no rejected row has the id"):
        Choice(ids=["abc"]).of(rows)


def test_a_corrected_row_passes_the_rules_and_is_merged_and_a_second_release_does_nothing(shop):
    done = shop.release(Choice(key={"id": "2"}), v="20")
    assert (len(done.released), done.refused, done.before) == (1, {}, ())
    result = shop.run(rules=RULES)
    assert went(result) == {"rows_in": 1, "inserted": 1}
    assert shop.silver() == {(1, 1.0), (2, 20.0)}
    (kept,) = shop.releases()
    assert (kept["released_by"], kept["run_id"], kept["changed"]) == ("ann", "by-hand", ["v"])

    again = shop.release(Choice(key={"id": "2"}), v="30")
    assert (again.released, len(again.before)) == ((), 1)
    assert went(shop.run(rules=RULES)) == {}
    assert shop.silver() == {(1, 1.0), (2, 20.0)}
    assert len(shop.releases()) == 1
    assert [one.is_released for one in shop.rejected()] == [False, False, True]


def test_rows_that_are_still_bad_stay_in_quarantine(shop):
    done = shop.release(Choice(reason="below_hundred"), v="120")
    assert done.released == ()
    assert set(done.refused.values()) == {("below_hundred",)}
    some = shop.release(Choice(), id="7")
    assert len(some.released) == 1, "the others are still above a hundred"
    shop.run(rules=RULES)
    assert shop.silver() == {(1, 1.0), (7, 3.0)}
    assert len(shop.rejected()) == 3, "quarantine stays the record of what was rejected"


def test_made_anew_a_released_row_comes_again_and_stands_for_the_delivered_one(shop):
    shop.release(Choice(key={"id": "2"}), v="20")
    shop.release(Choice(key={"id": "4"}), id="7", v="70")
    shop.run(rules=RULES)
    before, rejected = shop.silver(), shop.rejected()
    assert before == {(1, 1.0), (2, 20.0), (7, 70.0)}
    assert went(shop.run(rules=RULES, again=("readings",)))["quarantined"] == 3
    assert (shop.silver(), shop.rejected()) == (before, rejected)
    # Settings that would have let the delivered rows pass, under their own keys, bring none back.
    result = shop.run(rules=[], again=("readings",))
    assert went(result) == {"rows_in": 6, "inserted": 3, "superseded": 2, "quarantined": 1}
    assert shop.silver() == before
    # And a rule that would refuse them refuses nothing.
    stern = [{**RULES[0], "severity": "fail"}]
    assert went(shop.run(rules=stern, again=("readings",)))["superseded"] == 2
    assert shop.silver() == before


def test_a_newer_row_of_the_key_wins_over_a_released_one(shop):
    shop.deliver([("2", "22")], "b.csv", DAY2)
    shop.run(rules=RULES)
    shop.release(Choice(key={"id": "2"}), v="20")
    assert went(shop.run(rules=RULES)) == {"rows_in": 1, "superseded": 1}
    assert (2, 22.0) in shop.silver()
    shop.deliver([("4", "44")], "0.csv", DAY3)
    shop.release(Choice(key={"id": "4"}), v="40")
    assert went(shop.run(rules=RULES)) == {"rows_in": 2, "inserted": 1, "superseded": 1}
    assert (4, 44.0) in shop.silver()


def test_a_release_that_was_killed_is_finished_by_repeating_it(shop, monkeypatch):
    from pipelines.cleaning import release as module

    class Killed(BaseException):
        pass

    def killed(*args):
        raise Killed

    monkeypatch.setattr(module, "_record", killed)
    with pytest.raises(Killed):
        shop.release(Choice(key={"id": "2"}), v="20")
    monkeypatch.undo()
    assert shop.releases() == []
    done = shop.release(Choice(key={"id": "2"}), v="20")
    assert len(done.before) == 1
    assert len(shop.releases()) == 1
    assert went(shop.run(rules=RULES)) == {"rows_in": 1, "inserted": 1}


def test_a_row_and_what_was_made_of_it_may_both_be_bad_by_later_rules(shop):
    shop.release(Choice(key={"id": "2"}), v="20")
    shop.run(rules=RULES)
    below_ten = {"rules": [{"name": "below_ten", "check": "v < 10"}]}
    others = {"small": {"source": "readings", "key": "id", "columns": COLUMNS, **below_ten}}
    shop.run(rules=RULES, others=others)
    held = shop.table("quarantine.small")
    assert sorted(row["_row"] for row in held.collect()) == [1, 2, 3]
    assert shop.run(rules=RULES, others=others).counts["rows_in"] == 0


def test_silver_that_is_made_anew_from_bronze_has_the_released_rows(shop):
    import shutil

    shop.release(Choice(key={"id": "2"}), v="20")
    shop.run(rules=RULES)
    before = shop.silver()
    for place in ("silver/readings", "_state/shop/clean"):
        shutil.rmtree(f"{shop.lake.root}/{place}")
    anew = shop.run(rules=RULES)
    assert shop.silver() == before
    assert went(anew) == {"rows_in": 5, "inserted": 2, "quarantined": 3}
    assert shop.table("quarantine.readings").count() == 3


def test_rows_go_out_as_csv_and_come_back_corrected(shop, tmp_path):
    file = tmp_path / "bad.csv"
    write_csv(shop.rejected(Choice(reason="below_hundred")), file)
    file.write_text(file.read_text().replace(",200", ",20").replace(",400", ","))
    found = {one.values["id"]: dict(one.changes) for one in read_csv(file, shop.rejected())}
    assert found == {"2": {"v": "20"}, "4": {"v": None}}
    file.write_text(file.read_text().replace("_id,", "row,", 1))
    with pytest.raises(UsageError, match="line 2: the column '_id' holds None"):
        read_csv(file, shop.rejected())


def test_a_row_that_bronze_no_longer_holds_can_t_be_put_back(shop):
    rows = shop.rejected(Choice(key={"id": "2"}))
    shop.spark.sql(f"DELETE FROM delta.`{shop.lake.path('bronze.readings')}` WHERE id = '2'")
    run = Run(shop.pipeline(), shop.spark, shop.lake, "by-hand")
    with pytest.raises(LakeError, match=r"no longer holds 1 of the rows, for one .* \(a\.csv"):
        release(run, "readings", rows, "ann")


MARKS = {"readings": {"id": "pseudonymize", "born": {"action": "generalize", "to": "year"}}}
TYPED = (
    "id bigint, born date, v double, _source_file string, _source_modified_at timestamp, "
    "_row bigint, _batch bigint, _ingested_at timestamp"
)


def marked_run(spark, lake, run_id, keys=("k1",), protect_at="clean"):
    entity = {
        "source": "readings",
        "key": "id",
        "columns": {"id": {"type": "string"}, "born": {"type": "int"}, "v": {"type": "double"}},
        "rules": RULES,
    }
    source = Source(path="readings", format="parquet", columns=("id", "born", "v"))
    pipeline = Pipeline.model_construct(
        name="shop",
        ingest=Ingest(sources={"readings": source}),
        clean=Clean.model_validate({"entities": {"readings": entity}}),
        privacy=Privacy(keys=keys, sources=MARKS, protect_at=protect_at),
    )
    return Run(pipeline, spark, lake, run_id)


BORN = dt.date(1990, 1, 2)
DELIVERED = [(11, dt.date(1984, 7, 13), 1.0), (12, BORN, 200.0)]


def typed_bronze(spark, lake, protection=None, rows=DELIVERED, at=DAY1):
    """Append to a bronze table of a source that brings types along; the second row is bad."""
    full = [(*row, f"{at:%d}.parquet", at, n, at.day, at) for n, row in enumerate(rows)]
    df = protect(spark.createDataFrame(full, TYPED), protection)
    create_if_absent(spark, lake, "bronze.readings", df.schema)
    df.write.format("delta").mode("append").save(lake.path("bronze.readings"))


@pytest.mark.parametrize("protect_at", ["clean", "ingest"])
def test_a_row_of_a_typed_source_with_marks_is_put_back_and_protected_once(spark, lake, protect_at):
    def opened(run_id):
        return marked_run(spark, lake, run_id, protect_at=protect_at)

    protection = Protection.of(opened("first").pipeline, "readings")
    typed_bronze(spark, lake, protection if protection.at_ingest else None)
    work(STAGES["clean"], opened("first"))
    (bad,) = rejected_rows(lake, opened("show").pipeline, "readings")
    second = pseudonym(["k1"], "12")
    assert dict(bad.values) == {"id": second, "born": "1990", "v": 200.0}
    born = "1991-05-06" if protect_at == "clean" else "1991"
    changed = replace(bad, changes={"v": "20", "born": born})
    done = release(opened("put"), "readings", [changed], "ann")
    assert done.released == (bad.id,)
    assert went(work(STAGES["clean"], opened("second"))) == {"rows_in": 1, "inserted": 1}
    silver = {(row["id"], row["born"], row["v"]) for row in rows_of(lake, "silver.readings")}
    assert silver == {(pseudonym(["k1"], "11"), 1984, 1.0), (second, 1991, 20.0)}
    bronze = [row for row in rows_of(lake, "bronze.readings") if row["_batch"] == RELEASE_BATCH]
    clear, kept = (12, dt.date(1991, 5, 6)), (second, "1991")
    expected = clear if protect_at == "clean" else kept
    assert [(row["id"], row["born"]) for row in bronze] == [expected]


def test_a_newer_row_wins_over_a_released_one_whose_key_is_marked(spark, lake):
    typed_bronze(spark, lake)
    work(STAGES["clean"], marked_run(spark, lake, "first"))
    typed_bronze(spark, lake, rows=[(12, BORN, 22.0)], at=DAY2)
    work(STAGES["clean"], marked_run(spark, lake, "second"))
    (bad,) = rejected_rows(lake, marked_run(spark, lake, "show").pipeline, "readings")
    release(marked_run(spark, lake, "put"), "readings", [replace(bad, changes={"v": "20"})], "ann")
    result = work(STAGES["clean"], marked_run(spark, lake, "third"))
    assert went(result) == {"rows_in": 1, "superseded": 1}
    assert {row["v"] for row in rows_of(lake, "silver.readings")} == {1.0, 22.0}


def test_another_key_is_refused_before_a_row_is_put_back(spark, lake, monkeypatch):
    typed_bronze(spark, lake)
    work(STAGES["clean"], marked_run(spark, lake, "first"))
    rows = rejected_rows(lake, marked_run(spark, lake, "show").pipeline, "readings")
    before = latest_version(spark, lake, "bronze.readings")
    with pytest.raises(SettingsError, match="Run `tidemill rotate shop`"):
        release(marked_run(spark, lake, "put", keys=("k1", "k2")), "readings", rows, "ann")
    monkeypatch.setenv("TIDEMILL_SECRET_K1", "another tenant's key, which is long enough")
    good = [replace(one, changes={"v": "20"}) for one in rows]
    with pytest.raises(SettingsError, match="TIDEMILL_SECRET_K1 is not the key 'k1'"):
        release(marked_run(spark, lake, "put"), "readings", good, "ann")
    assert latest_version(spark, lake, "bronze.readings") == before
    assert rows_of(lake, "monitoring.quarantine_releases") == []


def test_the_command_shows_and_puts_back(shop, monkeypatch, tmp_path):
    """On the flights' planes, through the command line."""
    from pipelines.cli import app

    monkeypatch.setattr("pipelines.runner.spark_session", lambda *_, **__: shop.spark)
    landing = tmp_path / "landing"
    for source in ("schedules", "outcomes", "weather", "planes", "airports", "airlines"):
        (landing / source).mkdir(parents=True)
    (landing / "airlines" / "airlines.csv").write_text("carrier,name\nUA,United\n,Nobody\n")
    settings = ["--lake", shop.lake.root + "2"]
    given = ["--set", f"landing={landing}"]
    cli = CliRunner()
    for stage in ("ingest", "clean"):
        done = cli.invoke(app, [stage, "flights", *settings, *given])
        assert done.exit_code == 0, done.stderr
    command = ["quarantine", "show", "flights", "airlines", *settings, "--json"]
    shown = json.loads(cli.invoke(app, command).stdout)
    assert (shown["rejected"], shown["rows"][0]["reasons"]) == (1, ["missing:carrier"])
    put = ["quarantine", "release", "flights", "airlines", *settings, "--json", "--by", "bea"]
    assert cli.invoke(app, put).exit_code == 2
    still = cli.invoke(app, [*put, "--key", "name=Nobody"])
    assert still.exit_code == 3
    good = cli.invoke(app, [*put, "--key", "name=Nobody", "--set", "carrier=ZZ"])
    assert good.exit_code == 0, good.output
    assert json.loads(good.stdout)["clean"]["counts"]["airlines.inserted"] == 1
    # A released row is not the whole snapshot: other keys stay.
    carriers = {row["carrier"] for row in rows_of(type(shop.lake)(settings[1]), "silver.airlines")}
    assert carriers == {"UA", "ZZ"}
    assert json.loads(cli.invoke(app, command).stdout)["rows"] == []


def test_an_ingest_that_put_all_aside_ends_with_three_and_the_next_stage_says_so(shop, monkeypatch):
    from pipelines.cli import app

    monkeypatch.setattr("pipelines.runner.spark_session", lambda *_, **__: shop.spark)
    landing = Path(shop.lake.local_root).parent / "landing"
    for source in ("schedules", "outcomes", "weather", "planes", "airports", "airlines"):
        (landing / source).mkdir(parents=True)
    (landing / "airlines" / "airlines.csv").write_text("code,name\nUA,United\n")
    given = ["flights", "--lake", shop.lake.root + "3", "--set", f"landing={landing}"]
    cli = CliRunner()
    done = cli.invoke(app, ["ingest", *given])
    assert done.exit_code == 3
    assert "1 of 1 new files of source 'airlines' were put aside, more than the share of 0.5" in (
        " ".join(done.stderr.split())
    )
    assert "columns differ from those declared" in done.stderr
    again = cli.invoke(app, ["ingest", *given])
    assert again.exit_code == 0, "nothing new is no failure"
    done = cli.invoke(app, ["clean", *given])
    assert done.exit_code == 1
    assert "`ingest` has put aside all that it read, 1 files of 'airlines' (for one" in (
        " ".join(done.stderr.split())
    )
    shown = cli.invoke(app, ["quarantine", "files", "flights", "airlines", *given[1:3], "--json"])
    (row,) = json.loads(shown.stdout)["rows"]
    assert (row["_source_file"], row["raw"]) == ("airlines/airlines.csv", None)
    done = cli.invoke(app, ["quarantine", "files", "flights", "airline", *given[1:3]])
    assert "'airline' is no source of flights" in " ".join(done.stderr.split())
    done = cli.invoke(app, ["clean", *given, "--entity", "airlines"])
    assert done.exit_code == 2
    assert "--entity says what --again makes anew" in done.stderr
