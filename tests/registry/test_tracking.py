"""MLflow's record on a real SQLite store."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from pipelines.errors import NoChampion, SettingsError
from pipelines.lake.catalog import Lake
from pipelines.registry import tracking
from pipelines.registry.bundle import Bundle, load_bundle, save_bundle
from pipelines.registry.champion import (
    RegisteredModel,
    candidate,
    champion,
    find_champion,
    make_champion,
    model_of_run,
    register,
)
from pipelines.registry.store import open_client, tracking_uri

# MLflow and what it stands on warn of their own use of libraries.
pytestmark = pytest.mark.filterwarnings("ignore")


def train(lake: Lake, model: str, run_id: str) -> RegisteredModel:
    folder = f"{lake.training('toy', run_id)}/bundle"
    save_bundle(folder, Bundle({"run_id": run_id, "tables": {}}, "{}", b"model"))
    record = tracking.TrainingRecord(
        experiment="toy",
        run_id=run_id,
        params={"epochs": 2, "model": "mlp"},
        metrics={"test_roc_auc": 0.7},
        history=[{"epoch": 1, "loss": 0.6}, {"epoch": 2, "loss": 0.5}],
        tags={"code.tidemill": "1"},
    )
    return register(lake, model, record, folder)


def test_trainings_become_versions_and_one_of_them_champion(store: Lake) -> None:
    assert find_champion(store, "m") is None
    first, second = train(store, "m", "run-1"), train(store, "m", "run-2")
    assert (first.version, second.version) == (1, 2)
    assert candidate(store, "m") == second
    assert candidate(store, "m", "run-1") == first
    assert model_of_run(store, "m", "run-3") is None
    assert find_champion(store, "m") is None, "registering alone promotes nothing"
    make_champion(store, first)
    assert champion(store, "m") == first
    make_champion(store, second)
    assert champion(store, "m") == second
    assert load_bundle(champion(store, "m").bundle).run_id == "run-2"


def test_the_same_run_is_registered_once(store: Lake) -> None:
    assert train(store, "again", "run-1") == train(store, "again", "run-1")
    assert candidate(store, "again").version == 1


def test_mlflow_holds_parameters_metrics_by_epoch_and_the_bundle(store: Lake) -> None:
    train(store, "held", "run-held")
    client = open_client(store)
    experiment = client.get_experiment_by_name("toy")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`tidemill.run_id` = 'run-held'")
    assert run.info.run_name == "run-held"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "2", "model": "mlp"}
    assert run.data.metrics == {"test_roc_auc": 0.7, "loss": 0.5}
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in losses] == [(1, 0.6), (2, 0.5)]
    names = [file.path for file in client.list_artifacts(run.info.run_id, "bundle")]
    assert "bundle/manifest.json" in names
    assert "bundle/model.keras" in names


def test_without_a_champion_the_error_says_what_to_run(store: Lake) -> None:
    with pytest.raises(NoChampion, match="Run `tidemill train` and `tidemill promote` first"):
        champion(store, "unknown")
    with pytest.raises(NoChampion, match="Run `tidemill train` first"):
        candidate(store, "unknown")


def test_a_copied_lake_needs_and_touches_nothing_of_the_one_it_was_made_of(
    tmp_path: Path,
) -> None:
    original, copy = Lake(str(tmp_path / "here")), Lake(str(tmp_path / "a copy"))
    make_champion(original, train(original, "m", "run-1"))
    shutil.copytree(original.root, copy.root)
    shutil.move(original.root, tmp_path / "gone")
    found = champion(copy, "m")
    assert found.bundle.startswith(copy.root)
    assert load_bundle(found.bundle).run_id == "run-1"
    assert train(copy, "m", "run-2").version == 2
    assert not Path(original.root).exists(), "nothing was written where the copy came from"
    client = open_client(copy)
    places = [one.info.artifact_uri for one in client.search_runs(["1"])]
    places += [one.source for one in client.search_model_versions("name = 'm'")]
    places += [one.artifact_location for one in client.search_experiments()]
    own = Path(copy.tracking).as_uri()
    assert len(places) == 6
    assert all(place.startswith(own) for place in places), places
    names = [one.path for one in client.list_artifacts(client.search_runs(["1"])[0].info.run_id)]
    assert names == ["bundle"]


def test_a_lake_elsewhere_needs_a_server() -> None:
    with pytest.raises(SettingsError, match="Set MLFLOW_TRACKING_URI"):
        tracking_uri(Lake("s3a://bucket/lake"))


def test_a_server_named_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert tracking_uri(Lake("/lake")) == "http://tracking.example:5000"


def test_mlflow_speaks_up_only_to_warn(store: Lake) -> None:
    open_client(store)
    assert logging.getLogger("mlflow.store.db.utils").getEffectiveLevel() >= logging.WARNING
    assert logging.getLogger("alembic.runtime.migration").getEffectiveLevel() >= logging.WARNING
