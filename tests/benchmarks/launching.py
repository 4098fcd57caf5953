"""Getting ranks to run, beside horovod.spark.run; and from a Delta table to a trained model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.measure import Figure, Helper, say, side_by_side
from tests.benchmarks.tables import make_table

RANKS = 2
IMPORT = "import tensorflow, horovod.tensorflow"
ESTIMATOR_SECONDS = 47.0
"""The shortest `fit` of horovod.spark's KerasEstimator 0.28.1 on the same work (TensorFlow 2.12 to
2.15, two cores): 47 to 158 s were measured on such a machine. It does not run on Keras 3."""


def launch() -> Iterator[Figure]:
    """Measure the launch of two ranks that do nothing, TensorFlow imported, in fresh workers."""
    with Helper("tests.benchmarks.launching", os.environ) as driver:
        driver.ask(way="warm")
        found = side_by_side(
            {
                "horovod.spark.run": lambda: driver.ask(way="theirs")["seconds"],
                "launch": lambda: driver.ask(way="ours")["seconds"],
                "import alone": _import_twice,
            }
        )
    yield Figure(
        "launch_vs_horovod_spark_run",
        found["horovod.spark.run"] / found["launch"],
        "seconds of horovod.spark.run of an empty function over ours",
        at_least=2,
    )
    yield Figure(
        "launch_overhead_seconds",
        found["launch"] - found["import alone"],
        "seconds of our launch beyond importing TensorFlow on both ranks at once",
        at_most=3,
    )


def end_to_end(folder: str) -> Iterator[Figure]:
    """Measure from a Delta table of 2M rows x 8 columns to a trained model, in a warm session."""
    path = make_table(f"{folder}/eight", 2_000_000, 8)
    with Helper("tests.benchmarks.launching", os.environ) as driver:
        driver.ask(way="warm")
        found = side_by_side({"end to end": lambda: driver.ask(way="train", path=path)["seconds"]})
    say(f"the KerasEstimator's shortest time for the same work was {ESTIMATOR_SECONDS:.0f} s")
    yield Figure(
        "end_to_end_seconds",
        found["end to end"],
        "seconds from a Delta table of 2M rows x 8 to a trained MLP 64-32-1",
    )
    yield Figure(
        "end_to_end_vs_keras_estimator",
        found["end to end"] / ESTIMATOR_SECONDS,
        "the same over the KerasEstimator's shortest time, measured elsewhere",
    )


def _import_twice() -> float:
    start = time.perf_counter()
    both = [subprocess.Popen([sys.executable, "-c", IMPORT], stderr=-3) for _ in range(RANKS)]
    for one in both:
        one.wait()
    return time.perf_counter() - start


def serve(request: dict[str, Any]) -> dict[str, float]:
    """Launch in one way (in a process of its own, with one Spark session)."""
    from tests.benchmarks.training import spark_session

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    spark = spark_session(RANKS)
    start = time.perf_counter()
    if request["way"] == "warm":
        spark.range(10).rdd.map(lambda row: row.id).collect()
    elif request["way"] == "theirs":
        import horovod.spark

        horovod.spark.run(_empty, num_proc=RANKS, verbose=0)
    elif request["way"] == "ours":
        from pipelines.ranks.launcher import Ranks, launch
        from pipelines.training.backend import TensorFlow

        launch(spark, _nothing, Ranks(RANKS), TensorFlow())
    else:
        _train(spark, request["path"])
    return {"seconds": time.perf_counter() - start}


def _empty() -> int:
    import horovod.tensorflow as hvd

    hvd.init()
    size = int(hvd.size())
    hvd.shutdown()
    return size


def _nothing(rank: Any) -> int:
    return int(rank.collective.size)


def _train(spark: Any, path: str) -> None:
    from functools import partial

    from pipelines.ranks.launcher import Ranks, launch
    from pipelines.training.backend import TensorFlow
    from pipelines.training.work import train_rank
    from tests.benchmarks.training import work_on

    work = work_on(path, 8, RANKS, epochs=2, options={"hidden": (64, 32)})
    launch(spark, partial(train_rank, work=work), Ranks(RANKS), TensorFlow())
