"""How Spark evaluates the queries of a test: by interpretation, unless it is marked `compiled`."""

import pytest

pytestmark = pytest.mark.spark


def is_compiled(session) -> bool:
    """Whether a query's plan has a stage of generated code."""
    plan = session.range(9).where("id > 3")._jdf.queryExecution().executedPlan().toString()
    return "*(1)" in plan


@pytest.mark.compiled
def test_what_is_marked_is_compiled_in_new_sessions_too(spark):
    assert is_compiled(spark)
    assert is_compiled(spark.newSession())


def test_what_is_not_marked_is_interpreted(spark):
    assert not is_compiled(spark)
    assert not is_compiled(spark.newSession())
