import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import FeatureError
from pipelines.training_set.layout import (
    FilePlan,
    bucket,
    lay_out,
    more_bits,
    partition_keys,
    plan_files,
)


def test_a_split_is_cut_into_files_of_about_equal_length() -> None:
    counts = {"train": dict.fromkeys(range(16), 10), "test": {3: 5, 9: 6}}

    assert plan_files(counts, bits=4, file_rows=60) == [
        FilePlan("train", 0, 5, 0, 50),
        FilePlan("train", 5, 10, 50, 50),
        FilePlan("train", 10, 16, 100, 60),
        FilePlan("test", 0, 16, 0, 11),
    ]


def test_a_bucket_larger_than_a_file_asks_for_finer_buckets() -> None:
    assert plan_files({"train": {0: 7, 1: 1}}, bits=1, file_rows=6) is None
    assert more_bits(12, 6) == 16


def test_buckets_can_not_become_finer_for_ever() -> None:
    with pytest.raises(
        FeatureError, match=r"Raise `normalize\.file_rows`, and check that no two rows"
    ):
        more_bits(20, 6)


@given(st.dictionaries(st.integers(0, 255), st.integers(1, 40), min_size=1), st.integers(40, 1000))
def test_files_hold_every_row_once_in_order_and_none_is_too_large(
    counts: dict[int, int], file_rows: int
) -> None:
    files = plan_files({"train": counts}, bits=8, file_rows=file_rows)

    assert files is not None
    assert [one.first_position for one in files] == [
        sum(other.num_rows for other in files[:place]) for place in range(len(files))
    ]
    assert [one.first_bucket for one in files] == [0, *(one.end_bucket for one in files[:-1])]
    assert files[-1].end_bucket == 256
    for one in files:
        assert 0 < one.num_rows <= file_rows
        rows = [count for place, count in counts.items()
                if one.first_bucket <= place < one.end_bucket]  # fmt: skip
        assert sum(rows) == one.num_rows


@pytest.mark.spark
def test_spark_sends_each_partition_key_to_its_own_partition(spark) -> None:
    keys = partition_keys(13)
    df = spark.createDataFrame([(key,) for key in keys], "key int")

    found = df.repartition(13, "key").selectExpr("key", "spark_partition_id() AS place").collect()

    assert {row["key"]: row["place"] for row in found} == {
        key: place for place, key in enumerate(keys)
    }


@pytest.mark.spark
def test_rows_get_dense_positions_in_hash_order_one_partition_a_file(spark) -> None:
    key, bits = ("carrier", "flight"), 6
    df = spark.range(300).selectExpr(
        "concat('c', id % 3) AS carrier", "id AS flight", "id * 2 AS x",
        "CASE WHEN id < 200 THEN 'train' ELSE 'test' END AS _split",
    )  # fmt: skip
    counts: dict[str, dict[int, int]] = {}
    for row in df.selectExpr("_split", f"{bucket(key, bits)} AS bucket").collect():
        of_split = counts.setdefault(row["_split"], {})
        of_split[row["bucket"]] = of_split.get(row["bucket"], 0) + 1
    files = plan_files(counts, bits, file_rows=80)
    assert files is not None

    laid_out = lay_out(df, files, key, bits).selectExpr("*", "spark_partition_id() AS place")
    found = laid_out.collect()

    assert laid_out.columns == ["_split", "_position", "carrier", "flight", "x", "place"]
    by_place: dict[int, list] = {}
    for row in found:
        by_place.setdefault(row["place"], []).append((row["_split"], row["_position"]))
    assert by_place == {
        place: [
            (one.split, position)
            for position in range(one.first_position, one.first_position + one.num_rows)
        ]
        for place, one in enumerate(files)
    }
    assert sorted(row["flight"] for row in found) == list(range(300))
    assert all(row["x"] == 2 * row["flight"] for row in found)
