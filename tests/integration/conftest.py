"""What tests of this folder share: a scored lake's beginnings, and a query over one table."""

import datetime as dt
import shutil
from dataclasses import replace

import pytest

from pipelines.lake.catalog import Lake
from pipelines.lake.read import latest_version
from pipelines.lake.write import replace_slice
from pipelines.registry.bundle import save_bundle
from pipelines.registry.champion import candidate, make_champion
from pipelines.registry.tracking import TrainingRecord, record_training
from tests.bundles import small_bundle

FIRST, SECOND = dt.date(2013, 1, 15), dt.date(2013, 1, 16)
SCHEMA = "flight_date DATE, carrier STRING, flight INT, origin STRING, distance DOUBLE, is_late INT"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A model that gives sigmoid(distance + index of carrier)."""
    return small_bundle(tmp_path_factory.mktemp("model"))


def flight(day, number, distance, is_late):
    return (day, "UA", number, "EWR", distance, is_late)


def _features(spark):
    """Two days of features; the second day's labels are still to come."""
    rows = [flight(FIRST, n, 100.0 * n, n % 2) for n in range(1, 21)]
    rows += [flight(SECOND, n, 150.0 * n, None) for n in range(1, 11)]
    return spark.createDataFrame(rows, SCHEMA)


@pytest.fixture(scope="session")
def _beginnings(spark, bundle, tmp_path_factory):
    """Two lakes to copy: with the features alone, and with a champion too."""
    folder = tmp_path_factory.mktemp("beginnings")
    featured, crowned = Lake(str(folder / "featured")), Lake(str(folder / "crowned"))
    frame = _features(spark)
    replace_slice(frame, featured, "gold.flights", "true", partition_by=["flight_date"])
    shutil.copytree(featured.root, crowned.root)
    folder = f"{crowned.training('flights', 'hand-made')}/bundle"
    version = latest_version(spark, crowned, "gold.flights")
    tables = {"gold.flights": version, "gold.flights_training": 0}
    manifest = {
        "training_set": "gold.flights_training",
        "tables": tables,
        "decision_threshold": 0.7,
    }
    save_bundle(folder, replace(bundle, manifest={**bundle.manifest, **manifest}))
    record = TrainingRecord("flights", "hand-made", {}, {"roc_auc": 0.6}, [], {})
    record_training(crowned, "flights_late", record, folder)
    make_champion(crowned, candidate(crowned, "flights_late"))
    return featured, crowned


@pytest.fixture
def features(spark, lake, _beginnings):
    """Two days of features in the lake; the second day's labels are still to come."""
    featured, _ = _beginnings
    shutil.copytree(featured.root, lake.root)
    return _features(spark)


@pytest.fixture
def promoted(lake, features, _beginnings):
    """The champion: a bundle made by hand from these features."""
    _, crowned = _beginnings
    shutil.copytree(crowned.root, lake.root, dirs_exist_ok=True)


def sales_pipeline(folder, lake, sql, **featurize):
    """Return a pipeline whose features are a query over silver.sales (and silver.items)."""
    from pipelines.config import Pipeline

    (folder / "features.sql").write_text(sql)
    sales = {"day": {"type": "date"}, "item": {}, "n": {"type": "int"}}
    items = {"name": {}, "weight": {"type": "int"}}
    pipeline = Pipeline.model_validate(
        {
            "name": "shop",
            "landing": "landing",
            "ingest": {
                "sources": {
                    "sales": {"path": "sales", "columns": list(sales)},
                    "items": {"path": "items", "columns": list(items)},
                }
            },
            "clean": {
                "entities": {
                    "sales": {"source": "sales", "key": ["day", "item"], "columns": sales},
                    "items": {"source": "items", "key": "name", "columns": items},
                }
            },
            "featurize": {
                "table": "sales",
                "sql": ["features.sql"],
                "reads": {"silver.sales": "timestamp(day)"},
                "key": ["item"],
                "date": "day",
                **featurize,
            },
            "normalize": {
                "training_set": "sales_training",
                "split": {"by": "hash"},
                "features": {"n": {"kind": "numeric"}},
            },
            "train": {},
            "promote": {"threshold": 0.5},
            "score": {"model": "sales"},
        }
    )
    return pipeline.model_copy(update={"folder": folder, "root": folder, "lake": lake.root})


@pytest.fixture
def featurizing(tmp_path, lake, spark):
    """A function that opens a run of a pipeline whose features are a query over one table."""
    from pipelines.runner import open_run

    def opened(sql, *, date=None, since=None, run_id=None):
        pipeline = sales_pipeline(tmp_path, lake, sql)
        return open_run(pipeline, date=date, since=since, run_id=run_id, spark=spark)

    return opened
