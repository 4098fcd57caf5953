"""Versions on a real lake: two compared on the same rows; one taken back is not promoted anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.errors import GateRefused
from pipelines.registry.bundle import load_bundle, save_bundle
from pipelines.registry.by_hand import promote, rollback
from pipelines.registry.champion import register
from pipelines.registry.record import training_record
from pipelines.registry.versions import versions
from pipelines.runner import run_stage
from pipelines.scoring.compare import compare

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def twin(trained, open_run, lake):
    """The same model again, as another version with another threshold; the model's name."""
    result, _ = trained
    bundle = load_bundle(result.details["bundle"])
    facts = {**bundle.manifest, "run_id": "twin", "model": "twins", "decision_threshold": 0.95}
    folders = [result.details["bundle"], f"{lake.training('flights', 'twin')}/bundle"]
    save_bundle(folders[1], replace(bundle, manifest=facts))
    for folder in folders:
        register(lake, "twins", training_record(load_bundle(folder)), folder)
    return "twins", [load_bundle(folder) for folder in folders]


def test_two_versions_are_compared_and_one_that_was_taken_back_stays_so(twin, open_run, lake):
    name, (first, second) = twin
    found = compare(open_run("compare"), (1, first), (2, second))
    by_name = {one.metric: one for one in found.differences}
    assert found.num_days == 5
    assert found.num_rows == first.manifest["num_rows"]["test"]
    assert by_name["roc_auc"].first == pytest.approx(first.manifest["metrics"]["roc_auc"], rel=1e-4)
    assert by_name["roc_auc"].verdict == "chance explains it", "it is the same model"
    assert by_name["recall"].verdict == "worse", "by its threshold"

    promote(lake, name, 1, "ann", "the first")
    easy = {"threshold": 0.0, "beat_constant": False, "min_gain": -1}

    def promoting(run_id):
        run = open_run(run_id, easy)
        score = run.pipeline.score.model_copy(update={"model": name})
        return replace(run, pipeline=run.pipeline.model_copy(update={"score": score}))

    assert run_stage("promote", promoting("by-the-gate")).details["model_version"] == 2
    assert rollback(lake, name, "bob", "it finds nobody").version == 1
    with pytest.raises(GateRefused, match=r"was taken back on .* by bob .*--version 2 --reason"):
        run_stage("promote", promoting("once-more"))
    states = {one.version: one.state for one in versions(lake, name)}
    assert "by bob (version 2 taken back: it finds nobody)" in states[1]
    assert states[2].startswith("taken back")
