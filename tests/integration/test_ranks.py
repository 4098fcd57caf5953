"""Loss curves of one to four real ranks, from a Delta table through the feed and Horovod."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.spark
@pytest.mark.tensorflow
@pytest.mark.slow
def test_one_to_four_ranks_have_the_same_loss_curves(tmp_path: Path, project: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.integration.ranks", str(tmp_path)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    curves = json.loads(ended.stdout.splitlines()[-1])
    assert list(curves) == ["1", "2", "3", "4"]
    for size in ("2", "3", "4"):
        np.testing.assert_allclose(curves[size], curves["1"], rtol=1e-5)
    assert curves["1"][-2] < curves["1"][0]
