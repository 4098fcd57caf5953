"""Small Delta tables made without Spark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.feed.tables import table_of


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., str]:
    """Write a table with one file for each number of rows, `group` rows a row group."""
    from deltalake import WriterProperties, write_deltalake

    def make(rows: list[int], group: int = 10, name: str = "t", split: str = "_split") -> str:
        path, start = str(tmp_path / name), 0
        for count in rows:
            write_deltalake(
                path,
                table_of(np.arange(start, start + count)),
                mode="append",
                partition_by=[split],
                writer_properties=WriterProperties(max_row_group_size=group),
            )
            start += count
        return path

    return make
