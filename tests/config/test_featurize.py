import pytest
from pydantic import ValidationError

from pipelines.config.featurize import Featurize

READS = {"silver.flights": "at", "silver.planes": "at"}


def featurize(sources):
    settings = {"table": "f", "sql": ["f.sql"], "key": "k", "date": "day", "reads": READS}
    return Featurize.model_validate({**settings, "sources": sources})


def test_tables_are_mapped_to_days_by_an_expression_through_another_or_wholly():
    by_name = {"silver.flights": {"date": "day", "lookback": 2}, "silver.planes": "all"}
    assert featurize(by_name).sources["silver.planes"] == "all"
    through = {"through": "silver.flights", "by": "tailnum"}
    planes = featurize({**by_name, "silver.planes": through}).sources["silver.planes"]
    assert (planes.by, planes.lookback) == ({"tailnum": "tailnum"}, 0)


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        ({"date": "day", "through": "silver.flights"}, "either by `date` or `through` another"),
        ({"lookback": 2}, "either by `date` or `through` another table; or write `all`"),
        ({"through": "silver.flights"}, "`through` and `by` go together"),
        ({"date": "day", "by": "tailnum"}, "`through` and `by` go together"),
        (
            {"through": "silver.flight", "by": "tailnum"},
            r"is no table of `featurize.sources` with a `date`; those are \['silver.flights'\]. "
            "Did you mean 'silver.flights'",
        ),
        (None, r"`featurize.sources` lacks \['silver.planes'\].*changes in them would go unseen"),
    ],
)
def test_what_would_leave_changes_unseen_is_refused(planes, message):
    sources = {"silver.flights": {"date": "day"}}
    with pytest.raises(ValidationError, match=message):
        featurize({**sources, "silver.planes": planes} if planes else sources)


def test_a_table_that_is_not_read_is_named_with_the_nearest():
    with pytest.raises(ValidationError, match=r"'silver.plane'.* Did you mean 'silver.planes'"):
        featurize({"silver.plane": "all"})
