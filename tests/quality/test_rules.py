"""Rules on literal rows: what breaks them, what they report."""

from __future__ import annotations

import pytest
from chispa import assert_df_equality

from pipelines.config.clean import Rule
from pipelines.errors import SettingsError
from pipelines.quality.rules import RuleResult, apply_rules, rule_report

pytestmark = pytest.mark.spark

RULES = [
    Rule(name="positive", check="n > 0", severity="quarantine"),
    Rule(name="small", check="n < 100", severity="warn"),
    Rule(name="ratio", check="10 / m >= 1", severity="quarantine"),
    Rule(name="not_seven", check="n <> 7", severity="fail"),
]


@pytest.fixture(scope="module")
def judged(spark):
    rows = [(1, 1), (-1, 20), (500, 1), (None, None), (5, 0), (7, 1)]
    return apply_rules(spark.createDataFrame(rows, "n int, m int"), RULES).cache()


def test_a_row_carries_all_broken_rules_and_those_of_severity_quarantine_as_reasons(spark, judged):
    expected = spark.createDataFrame(
        [
            (1, [], []),
            (-1, ["positive", "ratio"], ["positive", "ratio"]),
            (500, [], ["small"]),
            (None, [], []),
            (5, ["ratio"], ["ratio"]),
            (7, [], ["not_seven"]),
        ],
        "n int, _reasons array<string>, _broken array<string>",
    )
    assert_df_equality(judged.select("n", "_reasons", "_broken"), expected, ignore_nullable=True)


def test_null_passes_and_what_can_not_be_evaluated_breaks_the_rule(judged):
    broken = {(r["n"], r["m"]): r["_broken"] for r in judged.collect()}
    assert broken[(None, None)] == []
    assert broken[(5, 0)] == ["ratio"], "10 / 0 raises in ANSI mode; the job goes on"


def test_the_report_counts_each_rule_in_one_pass(judged):
    assert rule_report(judged, RULES) == [
        RuleResult("positive", "quarantine", "n > 0", 6, 1),
        RuleResult("small", "warn", "n < 100", 6, 1),
        RuleResult("ratio", "quarantine", "10 / m >= 1", 6, 2),
        RuleResult("not_seven", "fail", "n <> 7", 6, 1),
    ]


def test_reasons_that_are_there_already_stay(spark):
    df = spark.createDataFrame([(-1, ["cast:m"])], "n int, _reasons array<string>")
    row = apply_rules(df, RULES[:1]).head()
    assert row["_reasons"] == ["cast:m", "positive"]


def test_no_rules_break_nothing(spark):
    row = apply_rules(spark.createDataFrame([(1,)], "n int"), []).head()
    assert (row["_reasons"], row["_broken"]) == ([], [])


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("nn > 0", "rule 'r' in `x.rules` can't be evaluated: `nn > 0`"),
        ("n >", "rule 'r' in `x.rules` can't be evaluated: `n >`"),
        ("n > 0) OR (true", "can't be evaluated"),
        ("n + 1", "is no condition: `n + 1` is of type int; expected"),
        ("max(n) > 0", "can't be evaluated"),
    ],
)
def test_a_check_that_is_no_condition_over_the_columns_is_refused_by_name(spark, check, said):
    df = spark.createDataFrame([(1,)], "n int")
    with pytest.raises(SettingsError) as error:
        apply_rules(df, [Rule(name="r", check=check)], "`x.rules`")
    assert said in str(error.value)
    assert "\tat org.apache" not in str(error.value)
