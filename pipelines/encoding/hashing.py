"""CRC32 of a text's UTF-8 bytes, the same number in Spark SQL, in TensorFlow and in zlib."""

from __future__ import annotations

from typing import Any

POLYNOMIAL = 0xEDB88320
"""Of IEEE 802.3, bits reversed, as zlib and Spark use it."""


def crc32_sql(text: str) -> str:
    """Return the SQL expression of the CRC32 (a bigint) of a string expression."""
    return f"crc32(CAST({text} AS BINARY))"


def crc32_table() -> list[int]:
    """Return the CRC of each single byte, from which those of longer texts are made."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


def crc32_tensor(texts: Any) -> Any:
    """Return the CRC32 of each string of a tensor, as int64 of the same shape.

    One step per byte position, for all rows at once, so the work is rows times the longest text.
    Made of TensorFlow operations only: it works inside a graph and in an exported model.
    """
    import tensorflow as tf

    table = tf.constant(crc32_table(), tf.int64)
    flat = tf.reshape(texts, [-1])
    lengths = tf.strings.length(flat, unit="BYTE")
    longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
    # (positions, rows): the bytes of one position lie side by side.
    data = tf.io.decode_raw(flat, tf.uint8, fixed_length=longest)
    data = tf.transpose(tf.cast(data, tf.int32))

    def step(position: Any, crc: Any) -> tuple[Any, Any]:
        byte = tf.cast(data[position], tf.int64)
        place = tf.bitwise.bitwise_and(tf.bitwise.bitwise_xor(crc, byte), 0xFF)
        moved = tf.bitwise.right_shift(crc, tf.constant(8, tf.int64))
        longer = tf.bitwise.bitwise_xor(tf.gather(table, place), moved)
        return position + 1, tf.where(position < lengths, longer, crc)

    all_ones = tf.constant(0xFFFFFFFF, tf.int64)
    start = tf.fill(tf.shape(flat), all_ones)
    _, crc = tf.while_loop(lambda position, _: position < longest, step, [tf.constant(0), start])
    return tf.reshape(tf.bitwise.bitwise_xor(crc, all_ones), tf.shape(texts))
