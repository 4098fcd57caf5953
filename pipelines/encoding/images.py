"""PNG and JPEG files become arrays: the one decoder of the feed, of scoring and of Keras models."""

from __future__ import annotations

from typing import Any

EXPECTED = "a whole PNG or JPEG file"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def is_image_sql(column: str) -> str:
    """Return the SQL condition that a binary expression begins like a PNG or a JPEG file."""
    png = f"substring({column}, 1, {len(_PNG)}) = X'{_PNG.hex()}'"
    jpeg = f"substring({column}, 1, {len(_JPEG)}) = X'{_JPEG.hex()}'"
    return f"coalesce({png} OR {jpeg}, false)"


def decode(encoded: Any, shape: tuple[int, ...], threads: int = 2) -> tuple[Any, Any]:
    """Return images as float32 (rows, height, width, channels) in 0..1, and the first bad row.

    `encoded` is a string tensor (rows,) of PNG or JPEG files; one of another size than `shape`
    (height, width, channels) is resized bilinearly (half-pixel centres). The second value is int64:
    -1, or the number of the first row that can't be decoded; there are then fewer images than
    rows. Made of TensorFlow operations only, `threads` images at a time.
    """
    import tensorflow as tf

    rows = tf.size(encoded, out_type=tf.int64)
    images = tf.data.Dataset.from_tensor_slices((tf.range(rows), encoded))
    images = images.map(
        lambda row, file: (row, _decode_one(file, shape)), num_parallel_calls=threads
    )
    # One that can't be decoded is left out, and found by its absence: an error inside a graph
    # could not name it. The row behind the last one makes sure that there is something to take.
    nothing = tf.data.Dataset.from_tensors((rows, tf.zeros(shape, tf.float32)))
    images = images.ignore_errors().concatenate(nothing).batch(rows + 1)
    found, decoded = images.get_single_element()
    first_bad = tf.argmin(tf.cast(tf.equal(found, tf.range(tf.size(found, tf.int64))), tf.int32))
    failed = tf.where(tf.size(found, tf.int64) == rows + 1, tf.constant(-1, tf.int64), first_bad)
    return tf.ensure_shape(decoded[:-1], (None, *shape)), failed


def _decode_one(file: Any, shape: tuple[int, ...]) -> Any:
    import tensorflow as tf

    height, width, channels = shape

    def jpeg() -> Any:
        # The fast transform differs between machines in its last bit.
        return tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE")

    def png() -> Any:
        return tf.io.decode_png(file, channels)

    is_png = tf.equal(tf.strings.substr(file, 0, len(_PNG)), _PNG)
    is_jpeg = tf.equal(tf.strings.substr(file, 0, len(_JPEG)), _JPEG)
    with tf.control_dependencies([tf.debugging.Assert(is_png | is_jpeg, [f"expected {EXPECTED}"])]):
        pixels = tf.cond(is_jpeg, jpeg, png)
    # Not a division: graphs turn one into a product, eager code does not.
    values = tf.cast(pixels, tf.float32) * tf.constant(1 / 255, tf.float32)
    return tf.ensure_shape(tf.image.resize(values, (height, width)), shape)
