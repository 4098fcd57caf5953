import datetime as dt

import pytest

from pipelines.config.normalize import DateSplit, HashSplit
from pipelines.errors import EmptySplit, FeatureError
from pipelines.training_set.folds import (
    FOLD_SPLIT,
    copies,
    describe_folds,
    fold_blocks,
    fold_conditions,
    refuse_empty_folds,
)

BY_DATE = DateSplit.model_validate(
    {
        "by": "date",
        "train": ["2013-01-01", "2013-01-05"],
        "validation": ["2013-01-07", "2013-01-09"],
        "test": ["2013-01-10", "2013-01-11"],
    }
)
BY_HASH = HashSplit(by="hash", validation=0.2, test=0.2)


def day(number: int) -> dt.date:
    return dt.date(2013, 1, number)


def test_days_are_cut_into_one_block_more_than_folds_and_gaps_count_nowhere() -> None:
    assert fold_blocks(BY_DATE, 3) == [
        (day(1), day(2)), (day(3), day(4)), (day(5), day(7)), (day(8), day(9)),
    ]  # fmt: skip
    assert describe_folds(BY_DATE, 2) == [
        "trains on 2013-01-01 to 2013-01-02, judged on 2013-01-03 to 2013-01-05",
        "trains on 2013-01-01 to 2013-01-05, judged on 2013-01-07 to 2013-01-09",
    ]


def test_more_folds_than_days_are_refused() -> None:
    assert len(fold_blocks(BY_DATE, 7)) == 8
    with pytest.raises(FeatureError, match=r"8 folds need 9 days at least; .* have 8"):
        fold_blocks(BY_DATE, 8)


@pytest.mark.spark
def test_by_date_each_fold_learns_only_from_days_before_those_that_judge_it(spark) -> None:
    rows = spark.createDataFrame(
        [(day(number), number) for number in range(1, 12)], "day date, id int"
    )

    found = splits_of(copies(rows, fold_conditions(BY_DATE, 3, ("id",), "day")))

    assert found == {
        "train-1": [1, 2], "validation-1": [3, 4],
        "train-2": [1, 2, 3, 4], "validation-2": [5, 7],
        "train-3": [1, 2, 3, 4, 5, 7], "validation-3": [8, 9],
    }  # fmt: skip


@pytest.mark.spark
def test_by_hash_each_row_outside_the_test_split_judges_one_fold_and_trains_the_others(
    spark,
) -> None:
    from pipelines.training_set.split import split_conditions

    rows = spark.range(600).selectExpr("CAST(NULL AS DATE) AS day", "CAST(id AS INT) AS id")
    test = rows.where(split_conditions(BY_HASH, ("id",), "day")["test"]).collect()
    unseen = {row["id"] for row in test}

    found = splits_of(copies(rows, fold_conditions(BY_HASH, 3, ("id",), "day")))

    everyone = set(range(600)) - unseen
    judged = [found[f"validation-{fold}"] for fold in (1, 2, 3)]
    assert sorted(id for each in judged for id in each) == sorted(everyone)
    assert all(120 < len(each) < 200 for each in judged)
    for fold in (1, 2, 3):
        assert set(found[f"train-{fold}"]) == everyone - set(judged[fold - 1])


def test_a_fold_without_rows_is_refused_with_what_it_is() -> None:
    with pytest.raises(EmptySplit, match=r"fold 2 of 2 \(b\) has no rows .* 'validation-2'"):
        refuse_empty_folds({"train-1": 1, "validation-1": 1, "train-2": 1}, ["a", "b"])


def splits_of(rows) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in rows.orderBy("id").collect():
        found.setdefault(row[FOLD_SPLIT], []).append(row["id"])
    return found
