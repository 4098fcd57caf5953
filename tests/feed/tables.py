"""Rows of small tables, deleted rows, and rows as a rank hands them out."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.feed.chunks import chunks
from pipelines.feed.columns import FeedColumns
from pipelines.feed.plan import EpochPlan, RankPlan
from pipelines.feed.reader import PetastormReader, WindowReader

COLUMNS = FeedColumns(numeric=("a", "b"), category=("c",), keys=("_position",))


def table_of(positions: np.ndarray) -> pa.Table:
    """Rows whose values all follow from their position."""
    return pa.table(
        {
            "_position": pa.array(positions, pa.int64()),
            "_split": ["train"] * len(positions),
            "a": pa.array(positions, pa.float32()),
            "b": pa.array(positions * -0.5, pa.float32()),
            "c": pa.array(positions % 7, pa.int32()),
            "_label": pa.array(positions % 2, pa.float32()),
        }
    )


def check_rows(arrays: dict[str, np.ndarray]) -> list[int]:
    """Check that each row's values belong together; return the positions."""
    positions = arrays["_position"]
    assert (arrays["numeric"] == np.stack([positions, positions * -0.5], axis=1)).all()
    assert (arrays["category"][:, 0] == positions % 7).all()
    assert (arrays["label"] == positions % 2).all()
    return positions.tolist()


def read_rank(plan: RankPlan, open_reader: Callable[..., WindowReader] = PetastormReader) -> dict:
    """Return {number of the row in the epoch: position} for all rows of a rank."""
    reader = open_reader(plan, COLUMNS)
    found: dict[int, int] = {}
    try:
        for chunk in chunks(plan, COLUMNS, reader):
            positions = check_rows(chunk)
            found.update(zip(chunk["row"].tolist(), positions, strict=True))
    finally:
        reader.close()
    assert len(found) == plan.num_rows
    return found


def read_epoch(plan: EpochPlan, size: int = 1, start_step: int = 0) -> dict[int, int]:
    """Return {number of the row in the epoch: position}, over all ranks."""
    found: dict[int, int] = {}
    for rank in range(size):
        mine = read_rank(plan.for_rank(rank, size, start_step))
        assert not set(mine) & set(found)
        found.update(mine)
    return found


_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def delete_rows(path: str, deleted: dict[int, list[int]]) -> None:
    """Commit inline deletion vectors: for each file (by its place in the log) its deleted rows."""
    log = Path(path) / "_delta_log"
    commits = sorted(log.glob("*.json"))
    actions = [json.loads(line) for commit in commits for line in commit.read_text().splitlines()]
    adds = [action["add"] for action in actions if "add" in action]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    lines = [{"protocol": protocol}]
    for index, rows in deleted.items():
        add = adds[index]
        lines.append({"remove": {"path": add["path"], "dataChange": True}})
        lines.append({"add": {**add, "deletionVector": inline_vector(rows)}})
    text = "\n".join(json.dumps(line) for line in lines)
    (log / f"{len(commits):020}.json").write_text(text)


def inline_vector(rows: list[int]) -> dict:
    """A deletion vector of one array container, as the protocol document describes it."""
    bitmap = struct.pack("<II", 12346, 1) + struct.pack("<HH", 0, len(rows) - 1)
    bitmap += struct.pack("<I", 16) + struct.pack(f"<{len(rows)}H", *rows)
    content = struct.pack("<iqi", 1681511377, 1, 0) + bitmap
    padded = content + b"\0" * (-len(content) % 4)
    text = "".join(_z85_letters(padded))
    return {
        "storageType": "i",
        "pathOrInlineDv": text,
        "sizeInBytes": len(content),
        "cardinality": len(rows),
    }


def _z85_letters(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), 4):
        value = int.from_bytes(content[start : start + 4], "big")
        for power in range(4, -1, -1):
            yield _Z85[value // 85**power % 85]
