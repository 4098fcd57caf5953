"""Of several rows with one key the newest good one is kept; every row has one fate."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.cleaning.duplicates import decide_fates
from pipelines.cleaning.judge import count_reasons, judge, prune_condition, refusal
from pipelines.config.clean import Entity, Rule
from pipelines.config.columns import Column

pytestmark = pytest.mark.spark

MORNING, NOON = dt.datetime(2013, 1, 1, 6), dt.datetime(2013, 1, 1, 12)
SCHEMA = (
    "k int, v string, _order_file_at timestamp, _order_file string, _order_row bigint, "
    "_reasons array<string>, _is_dropped boolean, _broken array<string>"
)
NO_NINE = Rule(name="no_nine", check="v <> '9'", severity="fail")


def row(k, v, at=MORNING, file="a.csv", n=0, reasons=(), dropped=False, broken=()):
    return (k, v, at, file, n, list(reasons), dropped, list(broken))


def fates(spark, rows, **options):
    df = decide_fates(spark.createDataFrame(rows, SCHEMA), ["k"], **options)
    return {r["v"]: r["_fate"] for r in df.collect()}


def test_delivery_time_then_file_then_row_decide(spark):
    rows = [
        row(1, "late file", NOON, "a.csv", 0),
        row(1, "early file", MORNING, "z.csv", 9),
        row(2, "file a", file="a.csv", n=9),
        row(2, "file b", file="b.csv", n=0),
        row(3, "row 1", n=1),
        row(3, "row 2", n=2),
    ]
    assert fates(spark, rows) == {
        "late file": "kept",
        "early file": "superseded",
        "file a": "superseded",
        "file b": "kept",
        "row 1": "superseded",
        "row 2": "kept",
    }


def test_a_bad_or_dropped_row_never_displaces_a_good_one(spark):
    rows = [
        row(1, "good"),
        row(1, "bad", NOON, reasons=["cast:v"]),
        row(2, "good too"),
        row(2, "dropped", NOON, dropped=True, reasons=["cast:v"]),
    ]
    assert fates(spark, rows) == {
        "good": "kept",
        "bad": "quarantined",
        "good too": "kept",
        "dropped": "dropped",
    }


def test_a_broken_fail_rule_refuses_unless_a_newer_row_mends_it(spark):
    rows = [
        row(1, "9 alone", broken=["no_nine"]),
        row(2, "9 mended", broken=["no_nine"]),
        row(2, "correction", NOON),
        row(3, "good before"),
        row(3, "9 after", NOON, broken=["no_nine"]),
    ]
    assert fates(spark, rows, rules=[NO_NINE]) == {
        "9 alone": "refused",
        "9 mended": "superseded",
        "correction": "kept",
        "good before": "kept",
        "9 after": "refused",
    }


def test_rows_of_an_older_snapshot_are_superseded(spark):
    noon = int(NOON.astimezone(dt.UTC).timestamp() * 1_000_000)
    rows = [row(1, "old"), row(2, "gone"), row(1, "new", NOON, "b.csv")]
    assert fates(spark, rows, only_snapshot=(noon, "b.csv")) == {
        "old": "superseded",
        "gone": "superseded",
        "new": "kept",
    }


@pytest.fixture(scope="module")
def entity():
    rules = (NO_NINE, Rule(name="short", check="length(v) < 9", severity="warn"))
    return Entity(
        source="s", key="k", columns={"k": Column(type="int"), "v": Column()}, rules=rules
    )


def test_one_pass_counts_fates_rules_empty_columns_and_the_range_of_keys(spark, entity):
    rows = [
        row(3, "x"),
        row(3, "y", n=1),
        row(8, "z"),
        row(99, "bad", reasons=["cast:v", "short"], broken=["short"]),
        row(77, "gone", dropped=True, broken=["short"]),
    ]
    df = decide_fates(spark.createDataFrame(rows, SCHEMA), ["k"], entity.rules)
    judgement = judge(df.drop("v").selectExpr("*", "CAST(NULL AS string) v"), entity)
    assert judgement.rows_in == 5
    assert judgement.fates == {
        "kept": 2, "dropped": 1, "quarantined": 1, "superseded": 1, "refused": 0,
    }  # fmt: skip
    assert [(r.rule, r.checked, r.broken) for r in judgement.rules] == [
        ("no_nine", 4, 0),
        ("short", 4, 1),
    ]
    assert judgement.empty == ["v"]
    assert prune_condition(judgement) == (
        "target.`k` >= CAST(3 AS bigint) AND target.`k` <= CAST(8 AS bigint)"
    )
    assert count_reasons(df) == {"cast:v": 1, "short": 1}
    assert refusal(df, "e", entity, judgement) is None


def test_a_refusal_names_rule_rows_and_up_to_three_keys(spark, entity):
    rows = [row(k, "9", n=k, broken=["no_nine"]) for k in range(5)] + [row(10, "fine")]
    df = decide_fates(spark.createDataFrame(rows, SCHEMA), ["k"], entity.rules)
    assert refusal(df, "e", entity, judge(df, entity)) == (
        "rule 'no_nine' of entity 'e' (severity fail) is broken by 5 of 6 new rows: `v <> '9'`; "
        "for example k=0; k=1; k=2"
    )
