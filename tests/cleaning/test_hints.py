"""What a refused value's message advises is what would read the value."""

from __future__ import annotations

import pytest

from pipelines.cleaning.casts import cast_columns
from pipelines.cleaning.hints import reading
from pipelines.config.columns import Column
from tests.cleaning.test_casts import bronze

ADVICE = [  # text, column, what is advised
    ("142,86", {"type": "double"}, "`format: '1.234,56'` reads it, if numbers are written so"),
    ("1.261,57", {"type": "decimal(10,2)"}, "`format: '1.234,56'` reads it, if"),
    ("1,234", {"type": "double"}, "`format: '1.234,56' or '1,234.56'` reads it, if"),
    ("1,234,567.5", {"type": "double"}, "`format: '1,234.56'` reads it"),
    ("12 000,5", {"type": "double"}, "`format: '1 234,56'` reads it"),
    ("12,50-", {"type": "double"}, "`format: '1.234,56-'` reads it, if"),
    ("1.50-", {"type": "double"}, "`format: '1,234.56-'` reads it, if"),
    ("7-", {"type": "int"}, "`format: '1.234,56-'` reads it, if"),
    ("12,5-", {"type": "double", "format": "1.234,56"}, "`format: '1.234,56-'` reads it, too"),
    ("1'234", {"type": "int"}, '`format: "1\'234.56"` reads it'),
    (" N/A", {"type": "double"}, "`null_values: ['', 'N/A']` takes it for a missing value"),
    ("\\N", {"type": "int"}, "`null_values: ['', '\\N']` takes it for a missing value"),
    ("k.A.", {"type": "date"}, "`null_values: ['', 'k.A.']`"),
    ("1.2.2024", {"type": "date"}, "`format: d.M.yyyy` reads it"),
    ("01.02.24", {"type": "date"}, "`format: d.M.yy` reads it"),
    ("3/4/2024", {"type": "date"}, "`format: d/M/yyyy` or `format: M/d/yyyy` reads it"),
    ("20240131", {"type": "date"}, "`format: yyyyMMdd` reads it"),
    ("2024-1-9", {"type": "date"}, "`format: yyyy-M-d` reads it"),
    ("2024-01-31 10:15", {"type": "date"}, "declare it as timestamp, and derive the date"),
    ("31.1.2024 00:00", {"type": "date"}, "`format: d.M.yyyy HH:mm` reads it"),
    ("31.1.2024 10:15", {"type": "timestamp"}, "`format: d.M.yyyy HH:mm` reads it"),
    ("31/1/2024 10:15:00", {"type": "timestamp"}, "`format: d/M/yyyy HH:mm:ss` reads it"),
    ("3/4/2024 10:15", {"type": "timestamp"}, "`format: d/M/yyyy HH:mm` or `format: M/d/yyyy HH"),
    (
        "06/13/2024",
        {"type": "date", "format": "dd/MM/yyyy"},
        "`format: [dd/MM/yyyy, M/d/yyyy]` reads it, too",
    ),
    (
        "2024-01-31",
        {"type": "date", "format": "dd.MM.yyyy"},
        "`format: [dd.MM.yyyy, yyyy-MM-dd]` reads it, too",
    ),
    ("ja", {"type": "boolean"}, "declare it as string and derive from it: `v = 'ja'`"),
]
NONE = [
    ("190 €", {"type": "double"}),
    ("2024-13-45", {"type": "date"}),
    ("31.02.2024", {"type": "date"}),
    ("5.5", {"type": "int"}),
    ("5,5", {"type": "int"}),
    ("1,5", {"type": "double", "format": "1,234.56"}),
    ("1,5-", {"type": "double", "format": "1,234.56-"}),
    ("soon", {"type": "timestamp"}),
]


@pytest.mark.parametrize(("text", "settings", "said"), ADVICE)
def test_a_refused_value_tells_what_would_read_it(text, settings, said):
    assert said in reading(text, "v", Column.model_validate(settings))


@pytest.mark.parametrize(("text", "settings"), NONE)
def test_of_a_value_that_no_setting_reads_nothing_is_advised(text, settings):
    assert reading(text, "v", Column.model_validate(settings)) == ""


@pytest.mark.spark
def test_what_is_advised_reads_the_value_and_without_it_it_is_a_finding(spark):
    import yaml

    for text, settings, _ in ADVICE:
        said = reading(text, "v", Column.model_validate(settings))
        given = [part for part in said.split("`") if part.startswith(("format: ", "null_values: "))]
        for part in given:
            one, *_ = part.split(" or ")
            mended = Column.model_validate({**settings, **yaml.safe_load(one)})
            for column, is_bad in ((Column.model_validate(settings), True), (mended, False)):
                row = cast_columns(bronze(spark, [(text,)], "v string"), {"v": column}).head()
                assert (row["_reasons"] == ["cast:v"]) == is_bad, f"{text!r} with {column}"
