"""Settings of clean that contradict themselves are refused in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipelines.config.clean import Entity, Rule
from pipelines.config.columns import Column, Outliers

COLUMNS = {"k": {"type": "int"}, "v": {"type": "double"}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"type": "integr"}, "unknown type 'integr'"),
        ({"type": "integr"}, "Did you mean 'integer'?"),
        ({"type": "int", "format": "yyyy"}, "`format: yyyy` doesn't say how numbers are written"),
        ({"type": "int", "format": "1.234.56"}, "expected 1234.56 as it would stand in the files"),
        ({"type": "double", "format": ["1.234,56", "1234.56"]}, "doesn't say how numbers"),
        ({"format": "yyyy"}, "`format` is for dates, timestamps and numbers; the type is 'string'"),
        ({"type": "date", "format": []}, "`format: []` names no pattern"),
        ({"type": "date", "format": ["d.M.yyyy", "dd.MM"]}, "`format: dd.MM` has no year"),
        (
            {"type": "timestamp", "format": ["yyyy-MM-dd HH:mm", "yyyy-MM-dd HH:mm XXX"]},
            "reads an offset by one pattern and none by another",
        ),
        ({"outliers": {"min": 0}}, "`outliers` is for numbers; the type is 'string'"),
        ({"missing": {"action": "constant"}}, "go together"),
        ({"type": "int", "missing": {"action": "constant", "value": "x"}}, "'x'` is no int"),
        ({"type": "int", "missing": {"action": "constant", "value": 1.5}}, "1.5` is no int"),
        ({"type": "date", "missing": {"action": "constant", "value": "soon"}}, "is no date"),
        ({"type": "date", "missing": {"action": "constant", "value": "20240101"}}, "is no date"),
        ({"type": "decimal", "missing": {"action": "constant", "value": 1.5}}, "is no decimal"),
        ({"type": "date", "format": "dd.MM"}, "`format: dd.MM` has no year"),
        ({"type": "timestamp", "format": "yyyy-MM-dd hh:mm"}, "doesn't say which half"),
        ({"type": "timestamp", "format": "yyyyMMdd SSSSSSS"}, "more than six digits of a second"),
        ({"type": "timestamp", "format": "yyyy-mm-dd HH:mm"}, "days (`dd`) and no months; months"),
        ({"type": "date", "format": "yyyy-mm"}, "minutes (`mm`) and no hours; months are `MM`"),
        ({"type": "timestamp", "format": "yyyy-MM-dd HH:MM:ss"}, "seconds (`ss`) and no minutes"),
        ({"type": "timestamp", "format": "yyyy-MM-dd HH:MM"}, "has `M` in two places; months are"),
        ({"type": "timestamp", "format": "yyyy-MM-dd HH:mm:SS"}, "no seconds; seconds are `ss`"),
        ({"type": "date", "format": "yyyy-MM-DD"}, "days of the year (`D`) beside months or days"),
        ({"type": "timestamp", "format": "yyyy-MM-dd HH:mm z"}, "reads a zone by its name"),
        ({"type": "timestamp", "format": "yyyy-MM-dd HH:mm VV"}, "reads a zone by its name"),
        ({"type": "decimal(40,2)"}, "has 40 digits, 2 of them behind the point; expected 38"),
        ({"type": "decimal(2,3)"}, "no more behind the point than in all"),
    ],
)
def test_a_column_whose_parts_do_not_fit_is_refused(settings, said):
    with pytest.raises(ValidationError) as error:
        Column.model_validate(settings)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "decimal(10,2)", "outliers": {"max": 5}},
        {"type": "array<float>"},
        {"type": "int", "missing": {"action": "constant", "value": 0}},
        {"type": "date", "missing": {"action": "constant", "value": "2013-01-01"}},
        {"missing": {"action": "constant", "value": "unknown"}},
        {"type": "timestamp", "missing": {"action": "constant", "value": "2013-01-01T10:00:00Z"}},
        {"type": "timestamp", "format": "yyyy-MM-dd'T'hh:mm a"},
        {"type": "timestamp", "format": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX'['VV']'"},
        {"type": "timestamp", "format": "[yyyy-MM-dd][dd.MM.yyyy][ HH:mm]"},
        {"type": "timestamp", "format": "yyyyMMddHHmmss 'CET'"},
        {"type": "date", "format": "yyyy-DDD"},
        {"type": "date", "format": "yyyyMM"},
        {"type": "decimal(10,2)", "missing": {"action": "constant", "value": 1.5}},
        {"type": "int", "format": "1\u202f234,56"},
        {"type": "date", "format": ["d.M.yyyy", "yyyy-MM-dd"]},
    ],
)
def test_a_column_whose_parts_fit_is_taken(settings):
    Column.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs `min` or `max`"),
        ({"min": 2, "max": 1}, "`outliers.min: 2.0` is above `max: 1.0`"),
        ({"method": "iqr"}, "needs `fit_range` and `date_column`"),
        ({"min": 1, "fit_range": ["2013-01-01", "2013-02-01"]}, "`bounds` is not fitted"),
        (
            {"method": "iqr", "date_column": "d", "fit_range": ["2013-02-01", "2013-01-01"]},
            "ends before it begins",
        ),
    ],
)
def test_outliers_that_contradict_themselves_are_refused(settings, said):
    with pytest.raises(ValidationError) as error:
        Outliers.model_validate(settings)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"derive": {"v": "k + 1"}}, "column 'v' is made twice"),
        ({"derive": {"_x": "k + 1"}}, "names with a leading `_` are tidemill's own"),
        ({"cluster_by": ["kk"]}, "`cluster_by` names 'kk'"),
        ({"rules": [{"name": "r", "check": "true"}] * 2}, "two rules are named 'r'"),
    ],
)
def test_an_entity_that_contradicts_itself_is_refused(more, said):
    with pytest.raises(ValidationError) as error:
        Entity.model_validate({"source": "s", "key": "k", "columns": COLUMNS, **more})
    assert said in str(error.value)


def test_an_outlier_fitted_over_a_column_that_is_not_there_is_refused():
    fence = {"method": "iqr", "date_column": "dya", "fit_range": ["2013-01-01", "2013-02-01"]}
    columns = {**COLUMNS, "day": {"type": "date"}, "w": {"type": "int", "outliers": fence}}
    with pytest.raises(ValidationError, match="Did you mean 'day'"):
        Entity.model_validate({"source": "s", "key": "k", "columns": columns})


def test_a_rule_name_is_one_word():
    with pytest.raises(ValidationError):
        Rule(name="two words", check="true")


def test_columns_take_the_missing_values_of_their_entity_unless_they_name_their_own():
    columns = {"k": {"type": "int"}, "v": {"null_values": ["-"]}}
    entity = {"source": "s", "key": "k", "columns": columns}
    found = Entity.model_validate({**entity, "null_values": ["", "NA"]}).columns
    assert (found["k"].null_values, found["v"].null_values) == (("", "NA"), ("-",))
    assert Entity.model_validate(entity).columns["k"].null_values == ("",)


def test_a_source_may_have_a_zone_of_its_own():
    from pipelines.config.ingest import Source

    assert Source(path="s", columns=("a",), timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
    with pytest.raises(ValidationError, match="unknown time zone 'Asia/Tokio'"):
        Source(path="s", columns=("a",), timezone="Asia/Tokio")
