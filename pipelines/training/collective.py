"""The one seam to Horovod: `ranks.collective` by it, and `SingleProcess`, its twin for one rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.ranks.parcel import pack, unpack
from pipelines.training.signs import Signs

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_HALF_EXPONENT = 15
"""Sums in float16 stay below 2 to this power; it ends at 65,504."""


class SingleProcess:
    """One rank alone: everything is what it was."""

    rank = 0
    size = 1

    def __init__(self) -> None:
        self.signs = Signs()

    def sum(self, tensors: Sequence[tf.Tensor], half: int = 0) -> list[tf.Tensor]:  # noqa: ARG002
        """Return the tensors."""
        self.signs.note_in_graph()
        return list(tensors)

    def sum_array(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the array."""
        return array

    def gather(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the array."""
        return array

    def share(self, value: Any) -> Any:
        """Return the value."""
        return value

    def broadcast(self, variables: Sequence[keras.Variable]) -> None:
        """Leave the variables as they are."""

    def close(self) -> None:
        """Do nothing."""


class Horovod:
    """Ranks joined by Horovod; the launcher has set what it needs in the environment."""

    def __init__(self) -> None:
        import horovod.tensorflow as hvd

        hvd.init()
        self._hvd = hvd
        self.signs = Signs()
        self.rank = int(hvd.rank())
        self.size = int(hvd.size())

    def sum(self, tensors: Sequence[tf.Tensor], half: int = 0) -> list[tf.Tensor]:
        """Return float32 tensors summed over the ranks, reduced as one vector."""
        if half:
            return [*self._sum_as_half(tensors[:half]), *self.sum(tensors[half:])]
        return self._sum_as_one(tensors, self._allreduce)

    def _allreduce(self, flat: tf.Tensor) -> tf.Tensor:
        return self._hvd.allreduce(flat, op=self._hvd.Sum, name="sum")

    def _sum_as_half(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sum in float16, scaled by a power of two so that no sum overflows."""
        import tensorflow as tf

        def reduce(flat: tf.Tensor) -> tf.Tensor:
            mine = tf.reduce_max(tf.abs(flat))
            # At least as large as any sum: each rank's largest value, added up.
            bound = self._hvd.allreduce(mine, op=self._hvd.Sum, name="sum_bound")
            power = tf.math.ceil(tf.math.log(tf.maximum(bound, 1e-30)) / math.log(2.0))
            scale = tf.pow(2.0, _HALF_EXPONENT - power)
            total = self._hvd.allreduce(
                tf.cast(flat * scale, tf.float16), op=self._hvd.Sum, name="sum_half"
            )
            return tf.cast(total, tf.float32) / scale

        return self._sum_as_one(tensors, reduce)

    def _sum_as_one(
        self, tensors: Sequence[tf.Tensor], reduce: Callable[[tf.Tensor], tf.Tensor]
    ) -> list[tf.Tensor]:
        import tensorflow as tf

        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
        with tf.control_dependencies([flat]):
            # This rank is here, and waits for the others: one that never comes is behind by one.
            self.signs.note_in_graph()
        total = reduce(flat)
        sizes = [int(np.prod(tensor.shape)) for tensor in tensors]
        parts = tf.split(total, sizes)
        return [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def sum_array(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return a numpy array summed over the ranks."""
        import tensorflow as tf

        self.signs.note()
        total: np.ndarray[Any, Any] = self._hvd.allreduce(
            tf.constant(array), op=self._hvd.Sum, name="sum_array"
        ).numpy()
        return total

    def gather(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the ranks' arrays joined along the first axis."""
        import tensorflow as tf

        self.signs.note()
        joined: np.ndarray[Any, Any] = self._hvd.allgather(
            tf.constant(array), name="gather"
        ).numpy()
        return joined

    def share(self, value: Any) -> Any:
        """Return rank 0's value on every rank, in two broadcasts: its length and its bytes."""
        import tensorflow as tf

        self.signs.note()
        content = np.frombuffer(pack(value), dtype=np.uint8) if self.rank == 0 else None
        length = tf.constant([0 if content is None else len(content)], tf.int64)
        length = self._hvd.broadcast(length, root_rank=0, name="share_length")
        if content is None:
            content = np.zeros(int(length[0]), dtype=np.uint8)
        received = self._hvd.broadcast(tf.constant(content), root_rank=0, name="share_content")
        return unpack(received.numpy().tobytes())

    def broadcast(self, variables: Sequence[keras.Variable]) -> None:
        """Give variables rank 0's values."""
        values = self.share([variable.numpy() for variable in variables])
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def close(self) -> None:
        """Shut Horovod down."""
        self._hvd.shutdown()
