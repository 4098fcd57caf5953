import io

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

from pipelines.config.load import load_pipeline
from pipelines.summary import ModelFacts, Summary, TableFacts, gather, show


@pytest.fixture
def flights():
    return load_pipeline("flights")


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=160)
    show(summary, console)
    return console.file.getvalue()


def test_tables_are_counted_at_their_newest_version(flights, lake):
    write_deltalake(lake.path("silver.flights"), pa.table({"flight": [1, 2]}))
    write_deltalake(lake.path("silver.flights"), pa.table({"flight": [3]}), mode="append")
    write_deltalake(lake.path("quarantine.flights"), pa.table({"flight": [9]}))
    found = gather(flights, lake)
    assert found.tables == [
        TableFacts("silver.flights", 1, 3),
        TableFacts("quarantine.flights", 0, 1),
    ]
    assert found.quarantined == {"flights": 1}
    assert found.model is None
    assert found.predictions is None


def test_the_newest_report_is_found(flights, lake, tmp_path):
    folder = tmp_path / "lake" / "_reports" / "flights"
    folder.mkdir(parents=True)
    for day in ("2013-12-30", "2013-12-31"):
        (folder / f"{day}.html").write_text("")
    assert gather(flights, lake).report == str(folder / "2013-12-31.html")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://alice:hunter2-hunter2@127.0.0.1:1", "MLflow at http://***@127.0.0.1:1 does not"),
        ("postgresql://bob:hunter2-hunter2@127.0.0.1:1/db", "postgresql://***@127.0.0.1:1/db"),
        ("htp://x", "unsupported URI 'htp://x'"),
    ],
)
def test_tables_are_told_of_also_where_mlflow_does_not_answer(
    flights, lake, monkeypatch, address, said
):
    write_deltalake(lake.path("silver.flights"), pa.table({"flight": [1, 2]}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    found = gather(flights, lake)
    assert found.tables == [TableFacts("silver.flights", 0, 2)]
    assert found.model is None
    assert said in found.model_unknown
    assert "hunter2" not in found.model_unknown


@pytest.mark.parametrize("address", ["sqlite:///{}/x/mlflow.db", "file://{}/runs", "{}/runs"])
def test_looking_makes_no_store_where_none_is(flights, lake, monkeypatch, tmp_path, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(tmp_path / "not there"))
    found = gather(flights, lake)
    assert (found.model, found.model_unknown) == (None, "")
    assert not (tmp_path / "not there").exists()


def test_the_closing_table_shows_rows_metrics_and_places():
    model = ModelFacts(
        *("flights_late", 2, "run", "/lake/bundle"),
        metrics={"roc_auc": 0.7123, "log_loss": 0.5},
        constant_metrics={"roc_auc": 0.5, "log_loss": 0.55},
    )
    summary = Summary(
        "flights",
        "/lake",
        [
            TableFacts("bronze.schedules", 4, 336776),
            TableFacts("bronze.schedules_rejected", 0, 0),
            TableFacts("silver.flights", 7, 336770),
            TableFacts("quarantine.flights", 3, 6),
        ],
        {"flights": 6},
        model,
        "/lake/predictions/flights_late",
        "/lake/_reports/flights/2013-12-31.html",
    )
    lines = [line.split() for line in shown(summary).splitlines()]
    assert ["bronze.schedules", "4", "336,776"] in lines
    assert ["silver.flights", "7", "336,770", "6"] in lines
    assert not any("rejected" in line[0] for line in lines if line)
    assert ["roc_auc", "0.7123", "0.5000"] in lines
    assert ["log_loss", "0.5000", "0.5500"] in lines
    assert ["predictions", "/lake/predictions/flights_late"] in lines
    assert ["report", "/lake/_reports/flights/2013-12-31.html"] in lines


def test_an_empty_lake_says_how_to_fill_it():
    assert "`tidemill run flights` makes them." in shown(Summary("flights", "/lake"))


def test_a_model_without_use_is_doubted_under_its_metrics():
    model = ModelFacts(
        *("flights_late", 2, "run", "/lake/bundle"),
        metrics={"log_loss": 0.15},
        constant_metrics={"log_loss": 0.026},
        rates="predicted rate 0.1370, observed 0.0040",
        doubts=["it predicts a rate of 0.137 where 0.004 was observed (1,000 rows)"],
    )
    text = shown(Summary("flights", "/lake", [TableFacts("gold.flights", 1, 5)], model=model))
    assert "predicted rate 0.1370, observed 0.0040\n" in text
    assert "DOUBT: it predicts a rate of 0.137 where 0.004 was observed (1,000 rows)\n" in text
