"""Layers whose randomness follows the row, not the rank that happens to hold it."""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras  # noqa: TID253 - a module of layers, imported inside functions only

from pipelines.errors import TrainingError

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)  # of the "lowbias32" integer hash
_GOLDEN = 0x9E3779B9
_context = threading.local()


@contextmanager
def row_seeds(row: Any, seed: int, epoch: Any) -> Iterator[None]:
    """Seed what happens inside by row: `row` int64 (rows,), `epoch` a scalar tensor.

    Dropout then hits the same units of the same row of an epoch on any number of ranks.
    """
    import tensorflow as tf

    low = tf.cast(tf.bitwise.bitwise_and(row, 0xFFFFFFFF), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(row, 32), tf.uint32)
    start = tf.constant(seed % 2**32, tf.uint32) * tf.constant(_GOLDEN, tf.uint32)
    _context.seeds = _mix(low ^ _mix(high ^ _mix(start ^ tf.cast(epoch, tf.uint32))))
    try:
        yield
    finally:
        _context.seeds = None


def _mix(value: Any) -> Any:
    import tensorflow as tf

    shift = tf.bitwise.right_shift
    value = (value ^ shift(value, tf.constant(16, tf.uint32))) * tf.constant(
        _MULTIPLIERS[0], tf.uint32
    )
    value = (value ^ shift(value, tf.constant(15, tf.uint32))) * tf.constant(
        _MULTIPLIERS[1], tf.uint32
    )
    return value ^ shift(value, tf.constant(16, tf.uint32))


class RowLayer(keras.layers.Layer):
    """A layer that changes its input in training, as the row's seed says.

    In inference it hands its input on; a bundle's model has it no more.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, changed in training; the shape stays."""
        if not training or not self.acts:
            return inputs
        seeds = getattr(_context, "seeds", None)
        if seeds is None:
            raise TrainingError(
                f"{type(self).__name__} was called in training outside `row_seeds`; train with "
                "`tidemill train`, or use keras.layers.Dropout in a loop of your own."
            )
        return self.change(inputs, seeds)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    @property
    def acts(self) -> bool:
        """Whether the layer changes anything in training."""
        return True

    def change(self, inputs: Any, seeds: Any) -> Any:
        """Return the changed inputs; `seeds` are uint32 (rows,). Each kind of layer has its own."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it changes")

    def bits(self, seeds: Any, count: int) -> Any:
        """Return random uint16 (rows, count), which follow from row, layer name and place.

        One hash serves two places; rows and places are mixed apart before, so a cheap last round
        is enough. It takes a fourth of the time of tf.nn.dropout.
        """
        import tensorflow as tf

        pairs = (count + 1) // 2
        salt = tf.constant(zlib.crc32(self.name.encode()), tf.uint32)
        unit = _mix(tf.cast(tf.range(pairs), tf.uint32) * tf.constant(_GOLDEN, tf.uint32) ^ salt)
        mixed = (seeds[:, None] ^ unit[None, :]) * tf.constant(_MULTIPLIERS[0], tf.uint32)
        mixed ^= tf.bitwise.right_shift(mixed, tf.constant(15, tf.uint32))
        mixed *= tf.constant(_MULTIPLIERS[1], tf.uint32)
        return tf.reshape(tf.bitcast(mixed, tf.uint16), [-1, 2 * pairs])[:, :count]


@keras.saving.register_keras_serializable(package="tidemill")
class RowDropout(RowLayer):
    """Dropout on (rows, ..., units), seeded by (seed, epoch, row, layer name, place)."""

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, received: {rate}")
        self.rate = rate

    @property
    def acts(self) -> bool:
        """Whether anything is dropped."""
        return bool(self.rate)

    def change(self, inputs: Any, seeds: Any) -> Any:
        """Return the inputs with a share `rate` of the units at zero, the others larger."""
        import tensorflow as tf

        shape = inputs.shape[1:]
        kept = tf.cast(self.bits(seeds, math.prod(shape)), tf.int32) >= round(self.rate * 65536)
        mask = tf.cast(kept, inputs.dtype) * tf.cast(1 / (1 - self.rate), inputs.dtype)
        return inputs * tf.reshape(mask, [-1, *shape])

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "rate": self.rate}
