import sys

import pytest

from pipelines.config.load import load_pipeline
from pipelines.fingerprint import code_hash, fingerprint
from pipelines.stages.catalog import STAGES

FEATURIZE = STAGES.depends_on("featurize")


@pytest.fixture
def flights(project):
    return lambda *overrides: load_pipeline("flights", overrides=overrides, root=project)


def test_it_depends_on_the_settings_of_the_stages_named_alone(flights):
    until_clean = ("ingest", "clean")
    first = fingerprint(flights(), until_clean)
    assert fingerprint(flights("train.epochs=99", "landing=elsewhere"), until_clean) == first
    assert fingerprint(flights("timezone=UTC"), until_clean) != first
    assert fingerprint(flights("ingest.sources.weather.on_change=fail"), until_clean) != first


def test_it_depends_on_dates(flights):
    dates = [fingerprint(flights(), ("ingest",), date=date) for date in ("2013-01-01", None)]
    assert len(set(dates)) == 2


def test_it_depends_on_the_sql(flights, tmp_path):
    def with_sql(text):
        (tmp_path / "features.sql").write_text(text)
        pipeline = flights("featurize.sql=[features.sql]")
        return fingerprint(pipeline.model_copy(update={"folder": tmp_path}), *FEATURIZE)

    assert with_sql("SELECT 1") == with_sql("SELECT 1")
    assert with_sql("SELECT 1") != with_sql("SELECT 2")


def test_it_depends_on_the_users_own_functions(flights, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "my_shop_features.py"
    pipeline = flights("featurize.sql=[]", "featurize.function=my_shop_features:build")
    found = set()
    for text in ("build = 1", "build = 2"):
        module.write_text(text)
        found.add(fingerprint(pipeline, *FEATURIZE))
    (tmp_path / "my_shop_parts.py").write_text("X = 1")
    module.write_text("from my_shop_parts import X")
    found.add(fingerprint(pipeline, *FEATURIZE))
    (tmp_path / "my_shop_parts.py").write_text("X = 2")
    found.add(fingerprint(pipeline, *FEATURIZE))
    assert len(found) == 4, "what it imports from beside it counts too"
    assert "my_shop_features" not in sys.modules


def test_the_code_has_one_hash():
    assert code_hash() == code_hash()
