"""The leaves of a Parquet schema: what a footer counts of each."""

from __future__ import annotations

from typing import Any


def values_in_lists(reader: Any) -> tuple[int, ...]:
    """Return how many values a footer counts in each leaf of its schema; 0 for those in no list.

    `reader` is Java's of the open file. Nulls count, and an empty list counts as one.
    """
    leaves = [
        (tuple(leaf.getPath()), int(leaf.getMaxRepetitionLevel()) > 0)
        for leaf in reader.getFileMetaData().getSchema().getColumns()
    ]
    if not any(is_repeated for _, is_repeated in leaves):
        return ()
    counted = {path: 0 for path, is_repeated in leaves if is_repeated}
    for block in reader.getRowGroups():
        for column in block.getColumns():
            path = tuple(column.getPath().toArray())
            if path in counted:
                counted[path] += int(column.getValueCount())
    return tuple(counted.get(path, 0) for path, _ in leaves)
