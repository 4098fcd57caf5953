"""Rules about a table as a whole, on literal rows."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.cleaning.gates import table_after
from pipelines.config.table_rules import TableRule
from pipelines.quality.table_rules import Outlook, end_of_day, judge_table

pytestmark = pytest.mark.spark
NOON = dt.datetime(2013, 1, 2, 12, tzinfo=dt.UTC)


def rule(**settings):
    return TypeAdapter(TableRule).validate_python({"name": "it", **settings})


def judge(settings, new, table=None, **more):
    """Return (is_ok, broken, found, expected) of one rule."""
    results = results_of(settings, new, table, **more)
    return [(one.is_ok, one.broken, one.found, one.expected) for one in results]


def results_of(settings, new, table=None, **more):
    facts = {
        "name": "silver.readings",
        "new_rows": new,
        "table": lambda: new if table is None else table,
        "num_new": 0 if new is None else new.count(),
        "num_before": None,
        "num_table": lambda: None,
        "least_and_most": None,
        "is_delivery": True,
        "as_of": NOON,
        "timezone": "UTC",
        "referred": lambda name: None,
        **more,
    }
    return judge_table([rule(**settings)], Outlook(**facts))


@pytest.fixture(scope="module")
def new(spark):
    rows = [(1, "a", dt.date(2013, 1, 1)), (2, None, None), (3, "b", dt.date(2012, 12, 31))]
    return spark.createDataFrame(rows, "id int, v string, day date").cache()


@pytest.mark.parametrize(
    ("settings", "more", "is_ok", "expected"),
    [
        ({"min": 3, "max": 3}, {}, True, "at least 3 and at most 3"),
        ({"min": 4}, {}, False, "at least 4"),
        ({"min_ratio": 0.5}, {}, True, "anything: there is no time before"),
        ({"min_ratio": 0.5}, {"num_before": 6}, True, "at least 0.5 times the time before (6)"),
        ({"min_ratio": 0.5}, {"num_before": 7}, False, "at least 0.5 times the time before (7)"),
        ({"max_ratio": 2}, {"num_before": 1}, False, "at most 2 times the time before (1)"),
        (
            {"of": "table", "min_ratio": 0.9},
            {"num_table": lambda: 4},
            False,
            "at least 0.9 times its present rows (4)",
        ),
    ],
)
def test_rows_are_counted_by_themselves_and_against_the_time_before(
    new, settings, more, is_ok, expected
):
    found = judge({"check": "row_count", **settings}, new, **more)
    what = "rows in the table" if "of" in settings else "new rows"
    assert found == [(is_ok, 0 if is_ok else 1, f"3 {what}", expected)]


@pytest.mark.parametrize(
    ("settings", "is_ok"),
    [({"min": 2}, False), ({"max": 2}, True), ({"min": 1}, True), ({"max": 1}, False)],
)
def test_of_several_days_the_one_with_least_or_most_rows_counts(new, settings, is_ok):
    ((found_ok, _, found, _),) = judge(
        {"check": "row_count", **settings}, new, least_and_most=(1, 2)
    )
    assert (found_ok, found) == (is_ok, "1 to 2 new rows a day")


def test_rows_that_a_person_put_back_are_no_delivery_to_count(new):
    assert judge({"check": "row_count", "min": 99}, new, is_delivery=False) == []
    of_table = {"check": "row_count", "of": "table", "min": 1}
    assert len(judge(of_table, new, is_delivery=False)) == 1


def test_a_day_ends_where_the_pipeline_is_at_home(new):
    rule = {"check": "freshness", "column": "day", "max_hours": 7}
    newest = dt.datetime(2013, 1, 2, 12, tzinfo=dt.UTC)
    far = judge(rule, new, as_of=newest, timezone="America/New_York")
    here = judge(rule, new, as_of=newest, timezone="UTC")
    assert (far[0][0], here[0][0]) == (True, False), "7 hours and 12 hours after the day's end"


def test_the_share_of_nulls_is_limited(new):
    settings = {"check": "null_share", "column": "v"}
    found = "1 of 3 rows (33.33%) without 'v'"
    assert judge({**settings, "max": 0.4}, new) == [(True, 0, found, "at most 40.00%")]
    assert judge({**settings, "max": 0.3}, new) == [(False, 1, found, "at most 30.00%")]
    empty = new.limit(0)
    assert judge({**settings, "max": 0}, empty)[0][0]


def test_the_newest_value_is_not_too_old_even_where_nothing_came(new):
    settings = {"check": "freshness", "column": "day", "max_hours": 12}
    # January 1st lasts until midnight, twelve hours before noon.
    assert judge(settings, None, new)[0][:2] == (True, 0)
    late = judge({**settings, "max_hours": 11}, None, new)
    assert late == [
        (
            False,
            1,
            "the newest at 2013-01-02 00:00 UTC, 12.0 hours before 2013-01-02 12:00 UTC",
            "a value of 'day' at most 11 hours old",
        )
    ]
    assert judge(settings, new, new.limit(0))[0][2] == "no value"
    assert judge({"check": "row_count", "min": 1}, None, new) == []


def test_values_that_come_now_are_not_in_the_table_twice(spark, new):
    table = spark.createDataFrame([(9, "a"), (1, "a"), (2, None), (3, "b"), (7, "z"), (8, "z")],
                                  "id int, v string")  # fmt: skip
    found = judge({"check": "unique", "columns": "v"}, new, table)
    expected = "(v) of no two rows alike"
    assert found == [(False, 2, "1 values in 2 rows", expected)]
    assert judge({"check": "unique", "columns": ["id", "v"]}, new, table)[0][0]


def test_values_are_found_in_the_other_table(spark, new):
    theirs = spark.createDataFrame([("a",), (None,)], "name string")
    settings = {"check": "references", "columns": "v", "to": "name", "table": "silver.names"}
    found = judge(settings, new, referred=lambda name: theirs)
    said = "1 of 2 rows that are not in silver.names"
    assert found == [(False, 1, said, "(v) of every row in silver.names")]
    assert judge({**settings, "max_share": 0.5}, new, referred=lambda name: theirs)[0][0]


@pytest.mark.parametrize(
    ("settings", "example"),
    [
        ({"check": "unique", "columns": "v"}, "v=a"),
        ({"check": "references", "columns": "v", "to": "name", "table": "silver.names"}, "v=b"),
    ],
)
def test_an_example_is_said_but_not_kept(spark, new, settings, example):
    table = spark.createDataFrame([(9, "a"), (1, "a"), (3, "b")], "id int, v string")
    theirs = spark.createDataFrame([("a",)], "name string")
    (found,) = results_of(settings, new, table, referred=lambda name: theirs)
    assert f" (such as {example}); expected" in found.line()
    assert example not in str(found.to_dict())
    assert found.to_dict()["found"] == found.found


def test_the_table_after_a_merge_follows_the_order_rule(spark):
    schema = "id int, v string, _order_file_at timestamp, _order_file string, _order_row long"
    day = [dt.datetime(2013, 1, n) for n in range(1, 4)]
    silver = spark.createDataFrame(
        [(1, "old", day[0], "a", 0), (2, "newer", day[2], "c", 0), (3, "goes", day[0], "a", 1)],
        schema,
    )
    kept = spark.createDataFrame(
        [
            (1, "new", day[1], "b", 0, False),
            (2, "late", day[1], "b", 1, False),
            (3, "gone", day[1], "b", 2, True),
            (4, "first", day[1], "b", 3, False),
        ],
        f"{schema}, _is_tombstone boolean",
    )
    after = {tuple(row) for row in table_after(silver, kept, ["id"], ["id", "v"]).collect()}
    assert after == {(1, "new"), (2, "newer"), (4, "first")}
    first = table_after(None, kept.drop("_is_tombstone"), ["id"], ["id", "v"])
    assert first.count() == 4


def test_a_local_day_ends_at_its_own_midnight():
    ends = end_of_day(dt.date(2013, 1, 1), "America/New_York")
    assert ends == dt.datetime(2013, 1, 2, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"check": "row_count"}, "needs `min`, `max`"),
        ({"check": "rows"}, "row_count"),
        ({"check": "null_share", "column": "v"}, "max"),
        (
            {"check": "references", "columns": ["a", "b"], "to": "c", "table": "silver.x"},
            "differ in number",
        ),
    ],
)
def test_settings_that_say_nothing_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        rule(**settings)
