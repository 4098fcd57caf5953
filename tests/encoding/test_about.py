"""What the service's page says of raw columns, from the feature spec alone."""

from pipelines.encoding.about import About, about_columns
from pipelines.encoding.kinds.category import FittedCategory
from pipelines.encoding.kinds.cyclical import FittedCyclical
from pipelines.encoding.kinds.numeric import FittedNumeric
from pipelines.encoding.spec import FeatureSpec


def spec_of(*features):
    return FeatureSpec(key=("id",), date="day", features=features)


def test_numbers_are_told_of_by_their_middle_and_spread_in_their_own_unit():
    plain = {"name": "a", "column": "a", "raw_type": "double", "center": 1000.0, "spread": 250.0}
    logged = {**plain, "name": "b", "column": "b", "log1p": True, "center": 2.0, "spread": 1.0}
    found = about_columns(spec_of(FittedNumeric(**plain), FittedNumeric(**logged)))
    assert found["a"] == About(1000.0, "mostly around 750 to 1250 in training", [])
    assert found["b"].example == 6.38906
    assert found["b"].said == "mostly around 1.71828 to 19.0855 in training"


def test_categories_are_told_of_as_json_has_their_type():
    def category(raw_type, *words):
        named = {"name": "c", "column": "c", "raw_type": raw_type}
        return about_columns(spec_of(FittedCategory(**named, vocabulary=words)))["c"]

    assert category("string", "UA", "B6").known == ["UA", "B6"]
    assert category("int", "7", "12").known == [7, 12]
    assert category("boolean", "true", "false").example is True
    assert category("double", "1.5", "NaN").known == [1.5, None]
    assert category("string").example is None
    many = category("string", *(str(number) for number in range(50)))
    assert len(many.known) == 30
    assert many.said.startswith("50 categories are known, and 20 more")


def test_of_several_features_of_a_column_the_first_that_knows_something_tells():
    minute = {"name": "m", "column": "minute", "raw_type": "int"}
    plain = FittedNumeric(**minute)
    turning = FittedCyclical(**{**minute, "name": "t"}, period=60)
    assert about_columns(spec_of(plain, turning))["minute"].said == "comes round every 60"
