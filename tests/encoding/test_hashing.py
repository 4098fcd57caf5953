from zlib import crc32

import pytest

from pipelines.encoding.hashing import crc32_sql, crc32_table, crc32_tensor

# Golden values, of a CRC-32 (IEEE 802.3) that is not ours: `gzip`, `cksum -a crc32b` agree.
GOLDEN = {
    "": 0x00000000,
    "a": 0xE8B7BE43,
    "123456789": 0xCBF43926,
    "The quick brown fox jumps over the lazy dog": 0x414FA339,
    "Zürich": crc32(b"Z\xc3\xbcrich"),
    "€ 😀": crc32(b"\xe2\x82\xac \xf0\x9f\x98\x80"),
    "N14228" * 500: crc32(b"N14228" * 500),
    "nul\0inside": crc32(b"nul\0inside"),
}


def test_the_table_makes_the_golden_values() -> None:
    crc = 0xFFFFFFFF
    for byte in b"123456789":
        crc = crc32_table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)

    assert crc ^ 0xFFFFFFFF == GOLDEN["123456789"]


@pytest.mark.spark
def test_spark_gives_the_golden_values(spark) -> None:
    texts = spark.createDataFrame([(text,) for text in GOLDEN], "text string")

    found = texts.selectExpr("text", f"{crc32_sql('text')} AS crc").collect()

    assert {row["text"]: row["crc"] for row in found} == GOLDEN


@pytest.mark.tensorflow
def test_tensorflow_gives_the_golden_values() -> None:
    import tensorflow as tf

    found = crc32_tensor(tf.constant(list(GOLDEN)))

    assert found.dtype == tf.int64
    assert [int(value) for value in found] == list(GOLDEN.values())


@pytest.mark.tensorflow
def test_tensorflow_gives_them_in_a_graph_of_unknown_length() -> None:
    import tensorflow as tf

    graph = tf.function(
        crc32_tensor, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )

    assert graph(tf.constant(["a", ""])).numpy().tolist() == [GOLDEN["a"], 0]
    assert graph(tf.constant([], tf.string)).numpy().tolist() == []


@pytest.mark.tensorflow
def test_tensorflow_keeps_the_shape() -> None:
    import tensorflow as tf

    assert crc32_tensor(tf.constant([["a"], [""]])).numpy().tolist() == [[GOLDEN["a"]], [0]]
