"""The feed beside a bare loop over Arrow and Petastorm's documented way; planning; memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import plan_epoch
from pipelines.lake.snapshot import LiveFile, Snapshot, take_snapshot
from tests.benchmarks.measure import Figure, Helper, say, side_by_side
from tests.benchmarks.tables import make_table, names

BATCH = 1024
COLUMNS = 40
DOCUMENTED_ROWS = 100_000
MEMORY_ROWS, MEMORY_COLUMNS = 1_500_000, 8


def speed(folder: str, rows: int) -> Iterator[Figure]:
    """Measure rows per second of three ways through the same files.

    Each in a process of its own: none finds the threads and the memory that another left.
    """
    path = make_table(f"{folder}/wide", rows, COLUMNS)
    with ExitStack() as stack:

        def way_of(way: str) -> Callable[[], float]:
            reader = stack.enter_context(Helper("tests.benchmarks.feeding", os.environ))
            return lambda: float(reader.ask(path=path, way=way)["rows_per_second"])

        ways = {way: way_of(way) for way in ("documented", "arrow", "feed")}
        found = side_by_side(ways, repeats=9)
    yield Figure(
        "feed_vs_documented_petastorm",
        found["feed"] / found["documented"],
        "rows/s of the warm feed over Petastorm's unbatch().batch()",
        at_least=25,
    )
    yield Figure(
        "feed_vs_arrow",
        found["feed"] / found["arrow"],
        "rows/s of the warm feed over a bare pyarrow loop on the same files",
        at_least=0.5,
    )


def planning(files: int = 1_000_000) -> Iterator[Figure]:
    """Measure planning an epoch over many files, for the rank that has them all."""
    live = tuple(LiveFile(f"{n:07}", 1000 + n % 7, n * 2000) for n in range(files))
    snapshot = Snapshot("t", 0, live)

    def plan() -> float:
        start = time.perf_counter()
        plan_epoch(snapshot, seed=0, epoch=0, global_batch_size=BATCH).for_rank(0, 1)
        return time.perf_counter() - start

    found = side_by_side({"plan": plan})
    yield Figure(
        "plan_seconds_1m_files",
        found["plan"],
        "seconds to plan an epoch over a million files",
        at_most=5,
    )


def memory(folder: str) -> Iterator[Figure]:
    """Measure the peak memory of a rank's process on a table and on one ten times as long."""
    peaks = {}
    for times in (1, 10):
        path = make_table(f"{folder}/narrow{times}", times * MEMORY_ROWS, MEMORY_COLUMNS)
        with Helper("tests.benchmarks.feeding", os.environ) as rank:
            peaks[times] = rank.ask(path=path, way="train")["peak_mb"]
        say(f"peak on {times * MEMORY_ROWS:,} rows: {peaks[times]:.0f} MB")
    yield Figure(
        "memory_growth_10x",
        peaks[10] / peaks[1],
        "peak memory of a rank on 10x the rows over that on 1x",
        at_most=1.1,
    )


def serve(request: dict[str, Any]) -> dict[str, float]:
    """Go through a table in one way (in a process of its own)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    path, way = request["path"], request["way"]
    if way == "train":
        return {"peak_mb": _train(path)}
    go = {"documented": _documented, "arrow": _arrow, "feed": _feed}[way]
    go(path)  # what memory was given back while others had their turn comes back here
    start = time.perf_counter()
    rows = go(path)
    return {"rows_per_second": rows / (time.perf_counter() - start)}


def _files(path: str) -> list[str]:
    return [str(Path(path) / file.path) for file in take_snapshot(path).files]


def _arrow(path: str) -> int:
    """Read row groups with Arrow's threads; stack columns block by block into one matrix of each.

    The blocks keep what is copied in the cache; the matrix is the row group's, as a consumer of it
    would need.
    """
    rows, columns = 0, [*names(COLUMNS), "_label"]
    for file in _files(path):
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=columns, use_threads=True)
            arrays = [table[name].to_numpy() for name in columns[:-1]]
            matrix = np.empty((table.num_rows, COLUMNS), np.float32)
            for start in range(0, table.num_rows, BATCH):
                parts = [array[start : start + BATCH] for array in arrays]
                np.stack(parts, axis=1, out=matrix[start : start + BATCH])
            rows += len(matrix)
    return rows


def _documented(path: str) -> int:
    """Go through rows as Petastorm's documentation shows it."""
    from petastorm import make_batch_reader
    from petastorm.tf_utils import make_petastorm_dataset

    urls = [f"file://{file}" for file in _files(path)]
    with make_batch_reader(urls, schema_fields=["f.*"], num_epochs=1) as reader:
        dataset = make_petastorm_dataset(reader).unbatch().batch(BATCH)
        return _count(dataset.take(DOCUMENTED_ROWS // BATCH)) * BATCH


def _feed(path: str) -> int:
    """Go through a shuffled epoch as one rank."""
    from pipelines.feed.dataset import make_dataset

    plan = plan_epoch(take_snapshot(path), seed=1, epoch=0, global_batch_size=BATCH)
    columns = FeedColumns(numeric=tuple(names(COLUMNS)))
    if _count(make_dataset(plan.for_rank(0, 1), columns)) != plan.steps:
        raise RuntimeError("the feed handed out another number of batches than planned")
    return plan.num_rows


def _count(dataset: Any) -> int:
    """Go through a data set inside the graph, as `fit` does; return the number of elements."""
    import tensorflow as tf

    return int(dataset.reduce(tf.constant(0, tf.int64), lambda count, *_: count + 1).numpy())


def _train(path: str) -> float:
    """Train an epoch as the one rank there is; return the process's peak memory in MB."""
    import resource

    from tests.benchmarks.training import train_alone

    train_alone(path, MEMORY_COLUMNS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
