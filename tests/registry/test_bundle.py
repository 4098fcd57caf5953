from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from pipelines.errors import BundleError
from pipelines.registry.bundle import Bundle, bundle_exists, load_bundle, save_bundle

BUNDLE = Bundle(
    manifest={"run_id": "r1", "tables": {"gold.toy": 3}, "packages": {"keras": "3"}},
    feature_spec='{"format_version": 1}',
    model=b"not a model",
    history=[{"epoch": 1, "loss": 0.5}],
    evaluation={"metrics": {"roc_auc": 0.7}},
    snapshots={"train": {"version": 3}},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_bundle(str(tmp_path / "bundle"), BUNDLE)
    return tmp_path / "bundle"


def test_a_bundle_comes_back_as_it_was_saved(folder: Path) -> None:
    found = load_bundle(str(folder))
    assert found.manifest == {**BUNDLE.manifest, "format_version": 1}
    assert (found.feature_spec, found.model) == (BUNDLE.feature_spec, BUNDLE.model)
    assert (found.history, found.evaluation) == (BUNDLE.history, BUNDLE.evaluation)
    assert found.snapshots == BUNDLE.snapshots
    assert (found.run_id, found.tables) == ("r1", {"gold.toy": 3})


def test_a_bundle_is_found_by_a_file_uri_too(folder: Path) -> None:
    assert load_bundle(folder.as_uri()).run_id == "r1"


def test_a_bundle_travels_to_executors(folder: Path) -> None:
    assert pickle.loads(pickle.dumps(load_bundle(str(folder)))).model == BUNDLE.model


def test_a_folder_without_a_manifest_is_no_bundle(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    assert not bundle_exists(str(folder))
    with pytest.raises(BundleError, match=r"has no manifest\.json"):
        load_bundle(str(folder))


def test_a_missing_part_is_named(folder: Path) -> None:
    (folder / "feature_spec.json").unlink()
    with pytest.raises(BundleError, match=r"has no feature_spec\.json"):
        load_bundle(str(folder))


def test_a_newer_format_is_refused(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 9}))
    with pytest.raises(BundleError, match="bundle format 9, this tidemill reads 1"):
        load_bundle(str(folder))


@pytest.mark.tensorflow
def test_a_model_that_can_not_be_loaded_says_what_it_was_saved_with() -> None:
    with pytest.raises(BundleError, match=r"run r1 can't be loaded.*'keras': '3'"):
        BUNDLE.load_model()
