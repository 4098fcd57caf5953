"""Augmentation of images (rows, height, width, channels), seeded by row, in training only."""

from __future__ import annotations

import math
from typing import Any

import keras  # noqa: TID253 - a module of layers, imported inside functions only

from pipelines.training.models.layers import RowLayer


@keras.saving.register_keras_serializable(package="tidemill")
class RowFlip(RowLayer):
    """Turns every second image, by chance, left to right."""

    def change(self, inputs: Any, seeds: Any) -> Any:
        """Return the images, some of them mirrored."""
        import tensorflow as tf

        is_turned = tf.cast(self.bits(seeds, 1), tf.int32) >= 32768
        return tf.where(is_turned[:, :, None, None], tf.reverse(inputs, [2]), inputs)


@keras.saving.register_keras_serializable(package="tidemill")
class RowShift(RowLayer):
    """Moves each image up or down, left or right, by whole pixels; zeros come in.

    `share` is the largest move, as a share of the height and of the width.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def change(self, inputs: Any, seeds: Any) -> Any:
        """Return the images, moved."""
        import tensorflow as tf

        random = tf.cast(self.bits(seeds, 2), tf.int32)
        moved = inputs
        for axis in (1, 2):
            size = inputs.shape[axis]
            furthest = round(self.share * size)
            by = random[:, axis - 1, None] % (2 * furthest + 1) - furthest
            places = tf.range(size)[None, :] - by
            is_inside = tf.cast((places >= 0) & (places < size), inputs.dtype)
            shape = [-1, size, 1, 1] if axis == 1 else [-1, 1, size, 1]
            places = tf.clip_by_value(places, 0, size - 1)
            moved = tf.gather(moved, places, axis=axis, batch_dims=1)
            moved *= tf.reshape(is_inside, shape)
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "share": self.share}


@keras.saving.register_keras_serializable(package="tidemill")
class RowNoise(RowLayer):
    """Adds noise of a standard deviation to each value.

    It is a sum of four even draws, near enough to the normal distribution and made of whole
    numbers: it can't depend on the rows computed beside it.
    """

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev

    def change(self, inputs: Any, seeds: Any) -> Any:
        """Return the images with noise."""
        import tensorflow as tf

        shape = inputs.shape[1:]
        draws = tf.cast(self.bits(seeds, 4 * math.prod(shape)), tf.int32)
        total = tf.reduce_sum(tf.reshape(draws, [-1, *shape, 4]), axis=-1) - 2 * 65535
        # The variance of an even draw from 65,536 numbers is (65,536^2 - 1) / 12.
        scale = self.stddev / math.sqrt(4 * (65536**2 - 1) / 12)
        return inputs + tf.cast(tf.cast(total, tf.float32) * scale, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "stddev": self.stddev}
