"""How fast the feed is, against Petastorm's documented way and a bare loop over Arrow.

    python tests/benchmarks/feed.py [--rows 2000000] [--columns 40] [--repeats 3]

Prints rows per second of wall time and of CPU time, and the ratios. Run it alone on the machine:
only then do the ratios of wall times mean something.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import plan_epoch
from pipelines.lake.snapshot import LiveFile, Snapshot, take_snapshot

FILE_ROWS, GROUP_ROWS, BATCH = 262_144, 32_768, 1024


def make_table(path: str, rows: int, columns: int) -> None:
    """Write `columns` float32 features, a label and a position, laid out as `normalize` does."""
    from deltalake import ColumnProperties, WriterProperties, write_deltalake

    random = np.random.default_rng(0)
    for start in range(0, rows, FILE_ROWS):
        count = min(FILE_ROWS, rows - start)
        data = {"_position": np.arange(start, start + count)}
        data |= {
            f"f{i:02}": random.standard_normal(count, dtype=np.float32) for i in range(columns)
        }
        data["_label"] = (random.random(count) < 0.25).astype(np.float32)
        properties = WriterProperties(
            max_row_group_size=GROUP_ROWS,
            default_column_properties=ColumnProperties(dictionary_enabled=False),
        )
        write_deltalake(path, pa.table(data), mode="append", writer_properties=properties)


def arrow_loop(files: list[str], names: list[str]) -> int:
    """Read row groups with Arrow's threads and put the columns side by side, block by block."""
    rows = 0
    block = np.empty((BATCH, len(names)), np.float32)
    for file in files:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=[*names, "_label"], use_threads=True)
            columns = [table[name].to_numpy() for name in names]
            for start in range(0, table.num_rows, BATCH):
                parts = [column[start : start + BATCH] for column in columns]
                np.stack(parts, axis=1, out=block[: len(parts[0])])
                rows += len(parts[0])
    return rows


def documented_petastorm(files: list[str], limit: int) -> int:
    """Go through `limit` rows as Petastorm's documentation shows it."""
    from petastorm import make_batch_reader
    from petastorm.tf_utils import make_petastorm_dataset

    with make_batch_reader(
        [f"file://{file}" for file in files], schema_fields=["f.*"], num_epochs=1
    ) as reader:
        dataset = make_petastorm_dataset(reader).unbatch().batch(BATCH)
        return consume(dataset.take(limit // BATCH)) * BATCH


def consume(dataset) -> int:
    """Go through a data set inside the graph, as `fit` does; return the number of elements."""
    import tensorflow as tf

    return int(dataset.reduce(tf.constant(0, tf.int64), lambda count, *_: count + 1).numpy())


def measure(name: str, run: Callable[[], int], repeats: int) -> tuple[float, float]:
    """Return the median rows per second of wall and of CPU time."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        rows = run()
        wall.append(rows / (time.perf_counter() - start))
        cpu.append(rows / (time.process_time() - start_cpu))
    result = statistics.median(wall), statistics.median(cpu)
    print(f"{name:42s} {result[0]:12,.0f} rows/s {result[1]:12,.0f} rows/CPU second", flush=True)
    return result


def plan_seconds(files: int = 1_000_000) -> float:
    """Return the seconds to plan an epoch over a million files, for the rank that has them all."""
    live = tuple(LiveFile(f"{n:07}", 1000 + n % 7, n * 2000) for n in range(files))
    snapshot = Snapshot("t", 0, live)
    start = time.perf_counter()
    plan_epoch(snapshot, seed=0, epoch=0, global_batch_size=BATCH).for_rank(0, 1)
    return time.perf_counter() - start


def main() -> None:
    """Make the table, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    from pipelines.feed.dataset import make_dataset

    print(f"plan_seconds_1m_files {plan_seconds():.2f}")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/table"
        make_table(path, options.rows, options.columns)
        snapshot = take_snapshot(path)
        files = [str(Path(path) / file.path) for file in snapshot.files]
        names = [f"f{i:02}" for i in range(options.columns)]
        columns = FeedColumns(numeric=tuple(names))

        def feed(epoch: int = 0) -> int:
            plan = plan_epoch(snapshot, seed=1, epoch=epoch, global_batch_size=BATCH)
            dataset = make_dataset(plan.for_rank(0, 1), columns, threads=options.threads)
            assert consume(dataset) == plan.steps
            return plan.num_rows

        consume(
            make_dataset(
                plan_epoch(snapshot, seed=1, epoch=0, global_batch_size=BATCH).for_rank(0, 1),
                columns,
            ).take(1)
        )
        arrow = measure("bare Arrow loop", lambda: arrow_loop(files, names), options.repeats)
        ours = measure("feed, shuffled, in tf.data", feed, options.repeats)
        limit = min(options.rows, 100_000)
        theirs = measure(
            "Petastorm's unbatch().batch()", lambda: documented_petastorm(files, limit), 1
        )
    for key, one, two in (
        ("feed_vs_documented_petastorm", ours, theirs),
        ("feed_vs_arrow", ours, arrow),
    ):
        print(f"{key} {one[0] / two[0]:.2f} by wall, {one[1] / two[1]:.2f} by CPU")


if __name__ == "__main__":
    main()
