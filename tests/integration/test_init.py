"""`tidemill init` makes a pipeline from a folder that runs through every stage with no edit."""

import csv
import datetime as dt
import decimal
import json
import random

import pytest

from pipelines.config import check
from pipelines.config.load import load_pipeline
from pipelines.errors import UsageError
from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version, read_at
from pipelines.profiling.asked import Asked
from pipelines.profiling.write import check_name, write_pipeline
from pipelines.runner import open_run, run_stage
from pipelines.stages.catalog import STAGES

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow]
HEADER = [
    "Kunden-Nr",
    "Tag",
    "Umsatz in €",
    "Rabatt",
    "Straße",
    "Temp.",
    "leer",
    "Preis",
    "gekauft",
]


@pytest.fixture
def begin(spark, tmp_path):
    """A function that writes a pipeline from the folder `data`."""

    def write(name, **asked):
        told = []
        chosen = Asked(name=name, folder=tmp_path / "data", root=tmp_path, **asked)
        said = write_pipeline(chosen, "local", told.append, spark)
        return load_pipeline(name, root=tmp_path), said

    (tmp_path / "data").mkdir()
    return write


def run_all(spark, pipeline, tmp_path, stages=STAGES.names):
    lake = Lake(str(tmp_path / "lake"))
    small = {"epochs": 3, "streams": 4}
    train = pipeline.train.model_copy(update=small)
    gate = pipeline.promote.model_copy(update={"threshold": -99.0, "beat_constant": False})
    update = {"lake": lake.root, "train": train, "promote": gate}
    run = open_run(pipeline.model_copy(update=update), spark=spark)
    return lake, {stage: run_stage(stage, run) for stage in stages}


def german(folder):
    """Sales as a shop's program exports them: a file a day, of the German kind."""
    chance = random.Random(5)
    for n in range(12):
        day = dt.date(2025, 1, 1) + dt.timedelta(days=n)
        path = folder / f"verkauf_{day:%Y%m%d}.csv"
        with path.open("w", encoding="cp1252", newline="") as file:
            rows = csv.writer(file, delimiter=";")
            rows.writerow(HEADER)
            rows.writerows(sale(chance, day, place) for place in range(25))


def sale(chance, day, place):
    discount = chance.random() * 30
    price = f"{chance.uniform(900, 3000):,.2f}".translate(str.maketrans(",.", ".,"))
    degrees = f"{chance.uniform(-5, 30):.1f}".replace(".", ",")
    return [
        f"{place:05d}",
        f"{day.day}.{day.month}.{day.year}",
        price,
        "n/a" if place == 3 else f"{discount:.1f} %".replace(".", ","),
        chance.choice(["Allee", "Bäckerweg", "Am Ring"]),
        "999,9" if place == 4 else degrees,
        "",
        price,
        "ja" if chance.random() < discount / 30 else "nein",
    ]


def test_a_german_shop_s_files_become_a_training_set_with_no_edit(spark, begin, tmp_path):
    german(tmp_path / "data")
    pipeline, said = begin("shop")
    source, entity = pipeline.ingest.sources["shop"], pipeline.clean.entities["shop"]
    assert source.options == {"encoding": "cp1252", "sep": ";"}
    assert entity.key == ("kunden_nr", "tag")
    columns = entity.columns
    assert columns["kunden_nr"].type == "string", "its zeros are kept"
    assert (columns["tag"].type, columns["tag"].format) == ("date", "d.M.yyyy")
    assert (columns["umsatz_in_eur"].type, columns["umsatz_in_eur"].format) == (
        "double",
        "1.234,56",
    )
    assert columns["rabatt"].null_values == ("", "n/a")
    assert set(entity.derive) == {"rabatt_value"}
    features = pipeline.normalize.features
    assert {"rabatt_value", "strasse", "temp", "umsatz_in_eur", "tag_weekday"} <= set(features)
    assert not {"leer", "preis", "gekauft"} & set(features), "empty, a copy, the label"
    assert pipeline.normalize.split.by == "date"
    assert any("1 is 'ja'" in line for line in said)
    text = (tmp_path / "conf" / "shop" / "pipeline.yml").read_text()
    assert "preis: left out: the same as umsatz_in_eur in every row" in text
    assert (tmp_path / "conf" / "shop" / "profile.html").stat().st_size > 2000

    stages = ("ingest", "clean", "featurize", "normalize")
    lake, results = run_all(spark, pipeline, tmp_path, stages)
    assert results["clean"].counts["quarantined"] == 0
    silver = read_at(spark, lake, "silver.shop", latest_version(spark, lake, "silver.shop"))
    assert silver.where("rabatt_value IS NULL").count() == 12
    assert silver.where("kunden_nr = '00007'").count() == 12
    assert results["featurize"].counts["days"] == 12
    assert results["normalize"].counts["test"] > 0


def test_records_without_key_or_day_become_predictions_with_no_edit(spark, begin, tmp_path):
    chance = random.Random(6)

    def line(n):
        kind = "abc"[n % 3]
        size = {"a": 1, "b": 4, "c": 9}[kind] + chance.gauss(0, 1)
        place = {"city": ("Bonn", "Ulm")[n % 2], "at": {"lat": n / 7}}
        record = {"size": round(size, 3), "Alter (Jahre)": n % 40, "place": place}
        return json.dumps({**record, "tags": ["x", "y"][: 1 + n % 2], "species": kind})

    lines = [line(n) for n in range(150)]
    (tmp_path / "data" / "flowers_1.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")
    pipeline, said = begin("flowers")
    assert pipeline.clean.entities["flowers"].key == ("row_id",)
    assert "1 rows are there twice and count once" in " ".join(said)
    assert {"place_city", "place_at_lat"} <= set(pipeline.clean.entities["flowers"].derive)
    kinds = {name: one.kind for name, one in pipeline.normalize.features.items()}
    assert (kinds["tags_items"], kinds["place_city"]) == ("sequence", "category")
    assert pipeline.normalize.split.by == "hash"
    assert (pipeline.train.classes, pipeline.featurize.date) == (3, "delivered_on")

    _, results = run_all(spark, pipeline, tmp_path)
    assert results["clean"].counts["inserted"] == 150
    assert results["score"].counts["inserted"] == 150
    assert results["monitor"].details["performance"]["accuracy"] > 0


def test_columns_of_parquet_keep_their_types(begin, tmp_path):
    import pandas as pd

    rows = range(80)
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=80, freq="7h"),
            "amount": [decimal.Decimal(f"{n}.50") for n in rows],
            "kind": pd.Categorical([("new", "old")[n % 2] for n in rows]),
            "tags": [["a", "b"][: n % 3] for n in rows],
            "size": [float("nan") if n % 9 == 0 else n / 3 for n in rows],
            "paid": [n % 3 == 0 for n in rows],
        },
        index=[f"row {n}" for n in rows],
    )
    (tmp_path / "data" / "year=2024").mkdir()
    frame.to_parquet(tmp_path / "data" / "year=2024" / "a.parquet")
    pipeline, said = begin("typed")
    columns = pipeline.clean.entities["typed"].columns
    types = {name: one.type for name, one in columns.items()}
    assert types == {
        "at": "timestamp",
        "amount": "decimal(4,2)",
        "kind": "string",
        "tags": "array<string>",
        "size": "double",
        "paid": "boolean",
    }
    kinds = {name: one.kind for name, one in pipeline.normalize.features.items()}
    assert (kinds["tags_items"], kinds["kind"], kinds["at_hour"]) == (
        "sequence",
        "category",
        "cyclical",
    )
    assert pipeline.normalize.features["size"].missing_flag
    assert (pipeline.featurize.date, pipeline.featurize.label) == ("at_day", "paid_label")
    assert any("year=2024" in line for line in said)


def test_an_order_of_day_and_month_that_nothing_tells_is_asked_for(begin, tmp_path):
    rows = [
        f"{n},{1 + n % 9}/{1 + n % 7}/2024,{n * 7 % 50},{'yes' if n % 2 else 'no'}"
        for n in range(60)
    ]
    (tmp_path / "data" / "a.csv").write_text("\n".join(["id,at,size,bought", *rows]) + "\n")
    said = "d/M/yyyy and M/d/yyyy fit all 60 values, so no value tells day from month"
    with pytest.raises(UsageError, match=said):
        begin("unclear", date="at")
    assert not (tmp_path / "conf" / "unclear").exists()
    pipeline, _ = begin("clear", date="at", day_first=False, key=("id",))
    assert pipeline.clean.entities["clear"].columns["at"].format == "M/d/yyyy"
    check.check_queries(pipeline)


def test_a_name_that_is_taken_or_none_is_told_so(tmp_path):
    (tmp_path / "conf" / "there").mkdir(parents=True)
    with pytest.raises(UsageError, match="conf/there is there already"):
        check_name(tmp_path, "there")
    check_name(tmp_path, "there", is_replaced=True)
    for name in ("My Sales", "Sales", "1a", "a_files", "../up"):
        with pytest.raises(UsageError, match="can't be a pipeline's name"):
            check_name(tmp_path, name)
