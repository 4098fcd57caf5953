"""A training set as a Delta table, made without Spark: the real feed for tests of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.config.train import Train
from pipelines.lake.snapshot import take_snapshot
from pipelines.training.rows import FeedRows
from pipelines.training.work import Work
from tests.training.memory import INPUTS, some_rows

SPLITS = {"train": [400, 3, 150, 47], "validation": [100], "test": [90, 10]}
"""Rows of each file."""


def write_training_set(path: Path) -> None:
    """Write files of very unequal size in three splits."""
    from deltalake import WriterProperties, write_deltalake

    start = 0
    for split, files in SPLITS.items():
        for count in files:
            rows = some_rows(count, start + 1)
            columns: dict[str, Any] = {
                "_position": pa.array(np.arange(start, start + count), pa.int64()),
                "_split": [split] * count,
                "_label": rows["label"],
            }
            for i, one in enumerate(INPUTS):
                matrix = rows["numeric"] if one.kind == "numeric" else rows["category"]
                columns[one.name] = matrix[:, i % matrix.shape[1] if i < 4 else i - 4]
            write_deltalake(
                str(path),
                pa.table(columns),
                mode="append",
                partition_by=["_split"],
                writer_properties=WriterProperties(max_row_group_size=50),
            )
            start += count


def work_on(path: Path, folder: Path, chosen: Train, on_step: Any = None) -> Work:
    """A training on the newest version of the table at `path`."""
    snapshots = {split: take_snapshot(str(path), where={"_split": split}) for split in SPLITS}
    return Work(
        settings=chosen,
        inputs=INPUTS,
        rows=FeedRows(snapshots, INPUTS, chosen),
        folder=str(folder),
        versions={"gold.toy": snapshots["train"].version},
        on_step=on_step,
    )
