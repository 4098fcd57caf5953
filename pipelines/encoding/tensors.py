"""TensorFlow that feature kinds are put together from; each is the twin of one in `sql.py`."""

from __future__ import annotations

from typing import Any

from pipelines.encoding.hashing import crc32_tensor
from pipelines.encoding.sql import MISSING, OUT_OF_VOCABULARY


def as_text(raw: Any, raw_type: str) -> Any:
    """Return a category's text as Spark's CAST(... AS STRING) gives it, "" where missing."""
    import tensorflow as tf

    if raw.dtype == tf.string:
        return raw
    is_present = tf.math.is_finite(raw)
    value = tf.where(is_present, raw, tf.zeros_like(raw))
    if raw_type == "boolean":
        text = tf.where(value != 0, "true", "false")
    else:
        text = tf.strings.as_string(tf.cast(value, tf.int64))
    return tf.where(is_present, text, "")


def hashed(text: Any, buckets: int) -> Any:
    """Return the indices of texts by their hash."""
    import tensorflow as tf

    place = tf.cast(1 + crc32_tensor(text) % buckets, tf.int32)
    return tf.where(tf.equal(text, ""), MISSING, place)


def lookup_table(vocabulary: tuple[str, ...]) -> Any:
    """Return a table from text to index."""
    import tensorflow as tf

    # A layer may be made while a graph is traced; its tables must outlive that graph.
    with tf.init_scope():
        keys = tf.constant(["", *vocabulary])
        values = tf.constant([MISSING, *range(2, len(vocabulary) + 2)], tf.int32)
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, values), OUT_OF_VOCABULARY
        )


def kept(raw: Any, size: Any, length: int, keep: str) -> tuple[Any, Any]:
    """Return the elements that fit into `length`, (rows, length), and which of them are there."""
    import tensorflow as tf

    # One column more, so that there is one to point at.
    padding = tf.constant("" if raw.dtype == tf.string else 0.0, raw.dtype)
    raw = tf.concat([raw, tf.fill([tf.shape(raw)[0], 1], padding)], axis=1)
    size = tf.minimum(tf.cast(size, tf.int32), tf.shape(raw)[1] - 1)[:, None]
    place = tf.range(length)[None, :]
    if keep == "last":
        place += tf.maximum(size - length, 0)
    is_there = place < size
    index = tf.where(is_there, place, tf.shape(raw)[1] - 1)
    return tf.gather(raw, index, axis=1, batch_dims=1), is_there
