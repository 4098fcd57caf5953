import datetime as dt
from collections import Counter

import pytest
from pydantic import ValidationError

from pipelines.config.normalize import DateSplit, HashSplit
from pipelines.training_set.split import describe_split, key_hash, split_conditions, split_name

BY_DATE = DateSplit.model_validate(
    {
        "by": "date",
        "train": ["2013-01-01", "2013-01-03"],
        "validation": ["2013-01-05", "2013-01-05"],
        "test": ["2013-01-06", "2013-01-07"],
    }
)


@pytest.mark.spark
def test_both_ends_of_a_range_belong_to_its_split(spark) -> None:
    days = [dt.date(2012, 12, 31) + dt.timedelta(days=shift) for shift in range(9)]
    df = spark.createDataFrame([*((day,) for day in days), (None,)], "day date")

    name = split_name(split_conditions(BY_DATE, ("id",), "day"))
    found = [row["split"] for row in df.selectExpr(f"{name} AS split").collect()]

    assert found == [
        None, "train", "train", "train", None, "validation", "test", "test", None, None,
    ]  # fmt: skip


@pytest.mark.spark
def test_a_hash_split_keeps_its_shares_and_sends_equal_keys_to_one_split(spark) -> None:
    keys = spark.range(10_000).selectExpr("concat('k', id % 5000) AS carrier", "1 AS flight")
    split = HashSplit(by="hash", validation=0.2, test=0.1)

    name = split_name(split_conditions(split, ("carrier", "flight"), "day"))
    found = keys.selectExpr("carrier", f"{name} AS split").distinct().collect()

    shares = Counter(row["split"] for row in found)
    assert len(found) == 5000
    assert abs(shares["test"] / 5000 - 0.1) < 0.02
    assert abs(shares["validation"] / 5000 - 0.2) < 0.02
    assert shares["train"] + shares["validation"] + shares["test"] == 5000


@pytest.mark.spark
def test_the_key_hash_is_the_same_today_and_later(spark) -> None:
    one = spark.createDataFrame([("UA", 1545)], "carrier string, flight int")

    found = one.selectExpr(
        f"{key_hash(('carrier', 'flight'), '')} AS plain",
        f"{key_hash(('carrier', 'flight'), 'sälty')} AS salted",
    ).head()

    # xxHash64 chained over 'UA', then 1545, then the salt; golden, because splits depend on it.
    assert found["plain"] == -5566712216558249635
    assert found["salted"] != found["plain"]


def test_splits_say_what_they_are() -> None:
    by_hash = HashSplit(by="hash", validation=0.2, test=0.1)

    assert describe_split(BY_DATE, "train") == "2013-01-01 to 2013-01-03"
    assert describe_split(by_hash, "train") == "0.7 of the keys by hash"


def test_ranges_that_touch_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not overlap and go train, validation, test"):
        DateSplit.model_validate({**BY_DATE.model_dump(), "validation": ["2013-01-05"] * 2,
                                  "test": ["2013-01-05", "2013-01-07"]})  # fmt: skip


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"\(0\.5 \+ 0\.5\) must leave rows for training"):
        HashSplit(by="hash", validation=0.5, test=0.5)
