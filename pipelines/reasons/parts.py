"""How contributions of tensors are told of inputs: elements shared out, images in regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.encoding.kind import ModelInput

Array = npt.NDArray[Any]
GRID = 4
"""Regions of an image, each way."""


def regions(one: ModelInput) -> Array:
    """Return which values of an image (height x width x channels) lie in which region: 0 or 1."""
    height, width, channels = one.shape
    down, across = min(GRID, height), min(GRID, width)
    row = np.arange(height) * down // height
    column = np.arange(width) * across // width
    place = np.repeat((row[:, None] * across + column[None, :]).ravel(), channels)
    return np.asarray(np.eye(down * across, dtype=np.float32)[place])


def shared_out(share: Any, moved: Any, owners: Array) -> Any:
    """Return (rows, indices): each element's share to those of its owners that have moved."""
    import tensorflow as tf

    count = tf.matmul(moved, tf.constant(owners))
    even = tf.math.divide_no_nan(share, count)
    return moved * tf.matmul(even, tf.constant(owners), transpose_b=True)


def differs(row: Any, base: Any) -> Any:
    """Return 1.0 for each row (rows,) whose indices are not all those of the baseline, else 0.0."""
    import tensorflow as tf

    is_other = tf.cast(tf.not_equal(row, base), tf.float32)
    return tf.reduce_max(flat(is_other), axis=1)


def flat(value: Any) -> Any:
    """Return a tensor as (rows, elements)."""
    import tensorflow as tf

    size = 1 if len(value.shape) == 1 else int(np.prod(value.shape[1:]))
    return tf.reshape(value, [-1, size])


def tensors(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Return arrays by name as tensors."""
    import tensorflow as tf

    return {name: tf.constant(value) for name, value in arrays.items()}
