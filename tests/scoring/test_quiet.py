"""A worker that scores says nothing of its own on stderr, where the run's log is."""

import os
import subprocess
import sys

import pytest

from pipelines.registry.bundle import save_bundle
from tests.bundles import small_bundle
from tests.conftest import ROOT

pytestmark = pytest.mark.tensorflow

CODE = """
import sys
import numpy as np
from pipelines.registry.bundle import load_bundle
from pipelines.scoring.workers import model_key, predictor

bundle = load_bundle(sys.argv[1])
rows = {"distance": np.zeros(2, np.float32), "carrier": np.zeros(2, np.int32)}
print(predictor(bundle, model_key(bundle))(rows).shape)
"""


def test_a_fresh_worker_loads_tensorflow_without_a_word(tmp_path):
    save_bundle(str(tmp_path / "bundle"), small_bundle(tmp_path))
    env = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    asked = [sys.executable, "-c", CODE, str(tmp_path / "bundle")]
    done = subprocess.run(
        asked, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(2, 1)\n", "")
