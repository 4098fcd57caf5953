"""Promise: the memory of a rank does not grow with the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytestmark = pytest.mark.tensorflow

WIDTH = 20
ROWS = 100_000


def write(path: Path, num_rows: int) -> None:
    from deltalake import WriterProperties, write_deltalake

    random = np.random.default_rng(num_rows)
    for start in range(0, num_rows, ROWS // 2):
        values = random.random((ROWS // 2, WIDTH), np.float32)
        columns = {f"x{i}": values[:, i] for i in range(WIDTH)}
        positions = np.arange(start, start + ROWS // 2)
        write_deltalake(
            str(path),
            pa.table({"_position": positions, "_label": values[:, 0], **columns}),
            mode="append",
            writer_properties=WriterProperties(max_row_group_size=10_000),
        )


def read_once(path: Path, project: Path) -> dict[str, int]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.feed.read_once", str(path)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, int] = json.loads(ended.stdout)
    return found


def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path, project: Path) -> None:
    write(tmp_path / "one", ROWS)
    write(tmp_path / "ten", 10 * ROWS)
    one, ten = (read_once(tmp_path / name, project) for name in ("one", "ten"))
    assert (one["rows"], ten["rows"]) == (ROWS, 10 * ROWS)
    held = 9 * ROWS * WIDTH * 4
    assert ten["most"] - one["most"] < held / 2, "a feed that keeps the table would need it all"
    assert ten["most"] <= 1.1 * one["most"]
