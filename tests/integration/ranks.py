"""The same training on one to four Horovod ranks. `python ranks.py FOLDER` prints their losses.

A program of its own: the test suite's session has two slots, and a process has one session.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

from pipelines.lake.session import spark_session
from pipelines.ranks.launcher import Ranks, launch
from pipelines.training.backend import TensorFlow
from pipelines.training.work import train_rank
from tests.conftest import ROOT
from tests.integration.disturbed import SETTINGS
from tests.training.delta import work_on, write_training_set

LEARNING = SETTINGS.with_settings({"optimizer.learning_rate": 0.02, "epochs": 5})


def main(folder: Path) -> dict[int, list[float]]:
    """Return training and validation losses of all epochs, by number of ranks."""
    spark = spark_session(
        ROOT, "ranks", **{"spark.master": "local[4]", "spark.ui.showConsoleProgress": "false"}
    )
    write_training_set(folder / "table")
    found = {}
    try:
        for size in (1, 2, 3, 4):
            work = work_on(folder / "table", folder / str(size), LEARNING)
            trained = launch(
                spark, functools.partial(train_rank, work=work), Ranks(size), TensorFlow()
            )
            assert trained.ranks == size
            found[size] = [one[kind] for one in trained.history for kind in ("loss", "val_loss")]
    finally:
        spark.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
