"""Generated Delta tables, laid out as `normalize` lays out a training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.config.normalize import Normalize
from pipelines.encoding.kind import ModelInput

GROUP_ROWS: int = Normalize.model_fields["row_group_rows"].default
FILE_ROWS: int = Normalize.model_fields["file_rows"].default


def names(columns: int) -> list[str]:
    """Return the names of the float32 columns."""
    return [f"f{number:02}" for number in range(columns)]


def inputs(columns: int) -> list[ModelInput]:
    """Return the columns as inputs of a model."""
    return [ModelInput(name=name, dtype="float32", kind="numeric") for name in names(columns)]


def make_table(path: str, rows: int, columns: int) -> str:
    """Write `columns` float32 columns, a label that follows from them, and a position.

    A table that stands at `path` already is taken as it is.
    """
    from deltalake import ColumnProperties, WriterProperties, write_deltalake

    if Path(path).exists():
        return path
    random = np.random.default_rng(0)
    properties = WriterProperties(
        max_row_group_size=GROUP_ROWS,
        default_column_properties=ColumnProperties(dictionary_enabled=False),
        column_properties={"_split": ColumnProperties(dictionary_enabled=True)},
    )
    for start in range(0, rows, FILE_ROWS):
        count = min(FILE_ROWS, rows - start)
        features = random.standard_normal((columns, count), dtype=np.float32)
        chance = 1 / (1 + np.exp(-features[0] - features[1] * features[2]))
        data = {"_position": np.arange(start, start + count)}
        data |= dict(zip(names(columns), features, strict=True))
        data["_label"] = (random.random(count) < chance).astype(np.float32)
        write_deltalake(path, pa.table(data), mode="append", writer_properties=properties)
    return path
