"""The way from the baseline to each row, cut into pieces that are halved where gradients miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_PIECES = 8
_MOST_PIECES = 512
_NODES = ((1 - 1 / 3**0.5) / 2, (1 + 1 / 3**0.5) / 2)
"""Places in a piece: Gauss-Legendre of two."""
MOST_PASSES = len(_NODES) * (2 * _MOST_PIECES - _PIECES)
"""Gradients that a row is given at most; one that adds up at once takes 16."""
ENOUGH = 2.5e-4
"""Residual up to which a row adds up; as a share of predictions that are beyond 1."""


class OnTheWay(Protocol):
    """What pieces ask of a model: what it says on the way, and what each part adds there."""

    def says(
        self, arrays: Arrays, base: Arrays, target: Array, alpha: Array | float = 1.0
    ) -> tuple[Array, Array]:
        """Return the target's output (rows,) at `alpha` of the way, and another thing."""

    def rates(self, arrays: Arrays, base: Arrays, target: Array, alpha: Array) -> Array:
        """Return what each part adds a unit of the way there: (rows, parts)."""


class Pieces:
    """The way of every row in pieces, halved where gradients miss what the prediction moves by."""

    def __init__(
        self,
        on: OnTheWay,
        arrays: Arrays,
        base: Arrays,
        target: Array,
        at_row: Array,
        at_start: Array,
    ) -> None:
        self._on, self._arrays, self._base, self._target = on, arrays, base, target
        num_rows = len(target)
        self._size = np.maximum(1.0, np.maximum(np.abs(at_row), np.abs(at_start)))
        ends = np.linspace(0, 1, _PIECES + 1)
        says = [at_start, *(self._says(np.arange(num_rows), at) for at in ends[1:-1]), at_row]
        self._row = np.tile(np.arange(num_rows), _PIECES)
        self._low, self._high = np.repeat(ends[:-1], num_rows), np.repeat(ends[1:], num_rows)
        self._from, self._to = np.concatenate(says[:-1]), np.concatenate(says[1:])
        self._part = self._parts(self._row, self._low, self._high)

    def values(self) -> Array:
        """Return what each input adds, (rows, inputs), after as many halvings as it takes."""
        while len(chosen := self._to_halve()):
            self._halve(chosen)
        found = np.zeros((len(self._target), self._part.shape[1]))
        np.add.at(found, self._row, self._part)
        return found

    def _says(self, rows: Array, alpha: Array | float) -> Array:
        arrays, base = (_rows(given, rows) for given in (self._arrays, self._base))
        return self._on.says(arrays, base, self._target[rows], alpha)[0]

    def _parts(self, rows: Array, low: Array, high: Array) -> Array:
        """Return what gradients say that each input adds in pieces: (pieces, inputs)."""
        arrays, base = (_rows(given, rows) for given in (self._arrays, self._base))
        rates = [
            self._on.rates(arrays, base, self._target[rows], low + node * (high - low))
            for node in _NODES
        ]
        return np.asarray(sum(rates) * ((high - low) / len(_NODES))[:, None])

    def _to_halve(self) -> Array:
        """Return the pieces that miss most, of rows that don't add up and have room for more."""
        missed = self._to - self._from - self._part.sum(axis=1)
        num_rows = len(self._target)
        total = np.bincount(self._row, missed, num_rows)
        count = np.bincount(self._row, minlength=num_rows)
        most = np.zeros(num_rows)
        np.maximum.at(most, self._row, np.abs(missed))
        is_open = (np.abs(total) > ENOUGH * self._size) & (2 * count <= _MOST_PIECES)
        return np.flatnonzero(is_open[self._row] & (np.abs(missed) >= most[self._row] / 4))

    def _halve(self, chosen: Array) -> None:
        rows, low, high = self._row[chosen], self._low[chosen], self._high[chosen]
        middle = (low + high) / 2
        says = self._says(rows, middle)
        kept = np.setdiff1d(np.arange(len(self._row)), chosen)

        def with_halves(old: Array, first: Array, second: Array) -> Array:
            return np.concatenate([old[kept], first, second])

        parts = self._parts(rows, low, middle), self._parts(rows, middle, high)
        self._part = with_halves(self._part, *parts)
        self._from = with_halves(self._from, self._from[chosen], says)
        self._to = with_halves(self._to, says, self._to[chosen])
        self._low = with_halves(self._low, low, middle)
        self._high = with_halves(self._high, middle, high)
        self._row = with_halves(self._row, rows, rows)


def _rows(arrays: Arrays, rows: Array) -> dict[str, Array]:
    return {name: value[rows] for name, value in arrays.items()}
