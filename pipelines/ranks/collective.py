"""What ranks say to each other, whatever they compute with.

Every method must be called by all ranks in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf


class Signs(Protocol):
    """What a rank gets done, counted: it tells one that computes from one that hangs."""

    @property
    def count(self) -> int:
        """Signs so far; any thread may ask, also while a compiled loop runs."""

    def note(self) -> None:
        """Note a sign from Python."""


class Collective(Protocol):
    """Ranks 0 .. size - 1 of one training."""

    rank: int
    size: int

    @property
    def signs(self) -> Signs:
        """This rank's signs of progress. Each sum in a compiled function is one."""

    def sum(self, tensors: Sequence[tf.Tensor], half: int = 0) -> list[tf.Tensor]:
        """Return float32 tensors summed over the ranks; works inside `tf.function`.

        They travel as one vector in the order given, so the grouping of the sums is always the
        same (Horovod's own fusion groups by whatever is ready first). The first `half` of them
        travel as float16, rounded.
        """

    def sum_array(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return a numpy array summed over the ranks."""

    def gather(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the ranks' arrays joined along the first axis, in the order of ranks."""

    def share(self, value: Any) -> Any:
        """Return rank 0's value on every rank: plain values, arrays, lists and dicts of them."""

    def broadcast(self, variables: Sequence[keras.Variable]) -> None:
        """Give variables rank 0's values."""

    def close(self) -> None:
        """Leave; the process may take part in another training after it."""
