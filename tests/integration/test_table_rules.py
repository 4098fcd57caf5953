"""Table rules in `clean` and `featurize`: a broken one of severity fail writes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from pipelines.config.table_rules import TableRule
from pipelines.errors import QualityError
from pipelines.lake.changes import FEED
from pipelines.lake.read import latest_version
from pipelines.runner import work
from pipelines.stages.catalog import STAGES
from tests.integration.test_clean import DAY1, DAY2, DAY3, Workshop, went
from tests.integration.test_featurize import FIRST, RANGE, SECOND, sell

pytestmark = pytest.mark.spark


@pytest.fixture
def shop(spark, lake):
    return Workshop(spark, lake)


def counted(severity, **limits):
    return [{"name": "as_many", "check": "row_count", "severity": severity, **limits}]


def test_a_broken_rule_of_fail_writes_nothing_and_says_how_to_go_on(shop):
    shop.deliver([("1", "1"), ("2", "2"), ("x", "3")], "a.csv", DAY1)
    shop.run(table_rules=counted("fail", min_ratio=0.5))
    versions, state = shop.versions(), shop.state()

    shop.deliver([("3", "1"), ("y", "1")][1:], "b.csv", DAY2)
    with pytest.raises(QualityError) as refused:
        shop.run(table_rules=counted("fail", min_ratio=0.5))
    assert str(refused.value).splitlines()[0] == (
        "table rule 'as_many' of silver.readings (severity fail): found 1 new rows; expected at "
        "least 0.5 times the time before (3)"
    )
    assert "Nothing was written. Deliver corrected rows" in str(refused.value)
    assert (shop.versions(), shop.state()) == (versions, state)

    shop.deliver([("4", "4")], "c.csv", DAY3)
    mended = shop.run(table_rules=counted("fail", min_ratio=0.5))
    assert went(mended) == {"rows_in": 2, "inserted": 1, "quarantined": 1}
    assert mended.details["table_rules"][0]["is_ok"]


def test_rows_that_are_read_again_are_no_delivery(shop):
    """Without a change feed all of bronze is read each time, as after an erasure."""
    rules = counted("fail", min_ratio=0.5, max_ratio=1.5)
    no_feed = {FEED: "false"}
    for number, file in enumerate(("a.csv", "b.csv", "c.csv")):
        rows = [(str(10 * number + n), "1") for n in range(4)]
        shop.deliver(rows, file, (DAY1, DAY2, DAY3)[number], properties=no_feed)
        result = shop.run(table_rules=rules)
        assert (result.counts["rows_in"], result.counts["inserted"]) == (4 * (number + 1), 4)
    shop.deliver([("99", "1")], "d.csv", DAY3)
    with pytest.raises(QualityError, match=r"found 1 new rows; .* the time before \(4\)"):
        shop.run(table_rules=rules)


def test_a_broken_rule_of_warn_is_said_and_kept_for_the_report(shop, caplog):
    shop.deliver([("1", "1"), ("2", None)])
    rules = [{"name": "v_is_there", "check": "null_share", "column": "v", "max": 0.1}]
    result = shop.run(table_rules=rules)
    assert shop.silver() == {(1, 1.0), (2, None)}
    said = "found 1 of 2 rows (50.00%) without 'v'; expected at most 10.00%"
    assert said in caplog.text
    (kept,) = result.details["table_rules"]
    assert (kept["rule"], kept["is_ok"], kept["broken"]) == ("v_is_there", False, 1)
    assert shop.state()["last"]["rules"][-1]["rule"] == "v_is_there"


def test_an_example_of_a_broken_rule_is_in_the_log_and_in_no_record(shop, caplog):
    shop.deliver([("1", "87654321"), ("2", "87654321")])
    result = shop.run(table_rules=[{"name": "v_alone", "check": "unique", "columns": "v"}])
    assert "1 values in 2 rows (such as v=87654321.0); expected" in caplog.text
    (kept,) = result.details["table_rules"]
    assert (kept["found"], kept["is_ok"]) == ("1 values in 2 rows", False)
    assert shop.state()["last"]["rules"][-1]["rule"] == "v_alone"
    assert "87654321" not in result.to_json() + str(shop.state())


def test_rules_look_at_the_table_as_it_will_be(shop):
    """Of a full snapshot that lost most of its rows nothing is taken over."""
    rules = [
        {"name": "no_loss", "check": "row_count", "of": "table", "min_ratio": 0.5,
         "severity": "fail"},
        {"name": "v_alone", "check": "unique", "columns": "v", "severity": "fail"},
    ]  # fmt: skip
    shop.deliver([(str(n), str(n)) for n in range(1, 5)], "a.csv", DAY1)
    shop.run(delivery="full_snapshot", table_rules=rules)
    shop.deliver([("1", "1")], "b.csv", DAY2)
    with pytest.raises(QualityError, match=r"found 1 rows in the table; .* present rows \(4\)"):
        shop.run(delivery="full_snapshot", table_rules=rules)
    shop.deliver([("1", "1"), ("2", "3"), ("3", "3")], "c.csv", DAY3)
    with pytest.raises(QualityError, match=r"1 values in 2 rows \(such as v=3\.0\)"):
        shop.run(delivery="full_snapshot", table_rules=rules)
    assert len(shop.silver()) == 4


def test_features_of_a_day_unlike_the_day_before(featurizing, spark, lake, caplog):
    sell(spark, lake, [(FIRST, item, 1) for item in "abcd"] + [(SECOND, "a", 1)])
    rule = {"name": "like_before", "check": "row_count", "min_ratio": 0.5}

    def make(day, severity):
        run = featurizing(RANGE, date=day)
        rules = TypeAdapter(tuple[TableRule, ...]).validate_python([{**rule, "severity": severity}])
        settings = run.pipeline.featurize.model_copy(update={"table_rules": rules})
        return work(
            STAGES["featurize"],
            replace(run, pipeline=run.pipeline.model_copy(update={"featurize": settings})),
        )

    assert make(FIRST, "fail").details["table_rules"][0]["is_ok"]
    before = latest_version(spark, lake, "gold.sales")
    with pytest.raises(QualityError, match=r"gold\.sales .* found 1 new rows; .* \(4\)"):
        make(SECOND, "fail")
    assert latest_version(spark, lake, "gold.sales") == before
    result = make(SECOND, "warn")
    assert result.counts["rows_out"] == 1
    assert not result.details["table_rules"][0]["is_ok"]
    assert "'like_before' of gold.sales (severity warn)" in caplog.text
