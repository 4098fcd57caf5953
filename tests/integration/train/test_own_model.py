"""A model of a user's own from its file to predictions, with the file gone in between."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.lake.read import read_at
from pipelines.maintenance.reproduce import reproduce
from pipelines.registry.bundle import load_bundle
from pipelines.runner import run_stage
from tests.training.own import LAYERS, NET, write

# MLflow and petastorm warn of their own use of libraries.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),
]


def test_a_model_of_ones_own_is_trained_scored_and_reproduced_by_the_code_it_had(
    training_set, open_run, lake, spark, tmp_path, monkeypatch
):
    from pipelines.scoring.batch import predict
    from pipelines.scoring.workers import OUTPUTS

    monkeypatch.syspath_prepend(str(tmp_path))
    name = write(tmp_path, "ownmodel")
    settings = {"model": name, "options": {"scale": 0.5}, "epochs": 1, "ranks": 1}
    # Python workers have no such folder on their path: the ranks get the code with their work.
    result = run_stage("train", open_run("own", **settings))
    bundle = load_bundle(result.details["bundle"])
    assert sorted(bundle.code.sources) == ["ownmodel_layers.py", "ownmodel_net.py"]
    assert {"tidemill", "package", "commit", "is_dirty"} <= bundle.manifest["code"].keys()

    write(tmp_path, "ownmodel", NET, LAYERS.replace("x * self.scale", "x * 0"))
    for module in ("ownmodel_net", "ownmodel_layers"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    with pytest.raises(TrainingError, match=r"code of train\.model in ownmodel_layers\.py"):
        run_stage("train", open_run("own", **settings))

    features = read_at(spark, lake, "gold.flights", 1).where("wind IS NOT NULL")
    found = predict(features, bundle, ["flight"], 1500, 500).select(OUTPUTS).collect()
    outputs = np.array([row[0][0] for row in found])
    assert len(np.unique(outputs.round(6))) > 100, "the layer that multiplies by 0 was not taken"

    again = reproduce(open_run("again", **settings), "own")
    assert again.is_identical
    (note,) = [one for one in again.notes if "ownmodel" in one]
    assert "ownmodel_layers.py is not what ownmodel_net:network was trained with" in note
