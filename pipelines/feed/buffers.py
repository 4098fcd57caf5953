"""Arrays that are used again and again: fresh memory costs a page fault for every 4 KB."""

from __future__ import annotations

import sys
from collections import deque
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipelines.feed.columns import Component

Arrays = dict[str, "np.ndarray[Any, Any]"]

ALIGNMENT = 64
"""TensorFlow takes arrays that start at a multiple of this as they are, others it copies."""


class Buffer:
    """One set of arrays for `rows` rows, aligned."""

    def __init__(self, components: tuple[Component, ...], rows: int) -> None:
        self._memory: list[np.ndarray[Any, Any]] = []
        self.arrays: Arrays = {}
        for one in components:
            if one.dtype is np.object_:
                memory = np.empty(rows, one.dtype)
                self.arrays[one.name] = memory[:]
            else:
                memory = np.empty(rows * one.row_bytes + ALIGNMENT, np.uint8)
                start = -memory.ctypes.data % ALIGNMENT
                flat = memory[start : memory.size - ALIGNMENT + start].view(one.dtype)
                self.arrays[one.name] = flat.reshape(rows, *one.row_shape)
            self._memory.append(memory)

    def first(self, rows: int) -> Arrays:
        """Return the arrays' first rows; they share the buffer's memory."""
        return {name: array[:rows] for name, array in self.arrays.items()}

    @property
    def is_free(self) -> bool:
        """Whether nobody else looks at the memory any more.

        Every view, and every tensor TensorFlow made without copying, holds a reference to it.
        """
        # In the list, by our own view, and by the argument of getrefcount.
        return all(sys.getrefcount(self._memory[i]) <= 3 for i in range(len(self._memory)))


class Pool:
    """Buffers of one size: hands out a free one, or makes one more."""

    def __init__(self, components: tuple[Component, ...], rows: int) -> None:
        self._components = components
        self._rows = rows
        self._buffers: deque[Buffer] = deque()
        self._lock = Lock()

    def take(self, rows: int) -> Arrays:
        """Return arrays for `rows` rows. They come back by themselves once nobody uses them."""
        with self._lock:
            for _ in range(len(self._buffers)):
                self._buffers.rotate(-1)
                if self._buffers[-1].is_free:
                    return self._buffers[-1].first(rows)
            self._buffers.append(Buffer(self._components, self._rows))
            return self._buffers[-1].first(rows)


@lru_cache(maxsize=4)
def pool(components: tuple[Component, ...], rows: int, use: str) -> Pool:  # noqa: ARG001
    """Return the process's pool for one `use` (`window`, `chunk`) of arrays.

    One epoch's memory serves the next: touching fresh memory costs more than decoding into it.
    """
    return Pool(components, rows)
