"""Which settings of a source are refused, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.config.ingest import Ingest, Source

FINE: dict[str, Any] = {"path": "x", "columns": ["a"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "/tmp/x"}, "leads out of the landing folder"),
        ({"path": "../x"}, "leads out of the landing folder"),
        ({"path": "s3a://bucket/x"}, "leads out of the landing folder"),
        ({"path": ""}, "needs a folder or glob of its own"),
        ({"columns": []}, "name at least one column"),
        ({"columns": ["a", "A"]}, "'A' is there twice"),
        ({"options": {"Header": "false"}}, r"`options\.Header` is set by ingest itself"),
        ({"format": "json", "options": {"multiLine": "true"}}, "one record a line in UTF-8"),
        ({"options": {"encoding": "klingon"}}, "is no known encoding"),
        ({"options": {"encoding": "base64"}}, "is no encoding that text files are read in"),
        ({"options": {"encoding": "punycode"}}, "is no encoding that text files are read in"),
        ({"options": {"sep": ""}}, "expected the letters between fields"),
        ({"options": {"sep": "'", "quote": "'"}}, r"`options\.sep` and `options\.quote` are both"),
        ({"options": {"quote": "<<"}}, "expected one letter, or none"),
        ({"options": {"sep": ",", "Delimiter": ";"}}, "are one; give it once"),
        ({"options": {"multiLine": "false"}}, "would cut values at their line breaks"),
        ({"options": {"ignoreLeadingWhiteSpace": "yes"}}, "expected true or false"),
    ],
)
def test_a_source_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Source(**{**FINE, **settings})


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
@pytest.mark.parametrize(
    "option",
    [
        *("ignoreCorruptFiles", "ignoreMissingFiles", "IGNORECORRUPTFILES", "samplingRatio"),
        *("maxFilesPerTrigger", "maxBytesPerTrigger", "modifiedBefore", "modifiedAfter"),
        *("pathGlobFilter", "dateFormat", "timestampFormat", "emptyValue", "maxColumns"),
        *("maxCharsPerColumn", "unescapedQuoteHandling", "dropFieldIfAllNull", "prefersDecimal"),
        *("singleVariantColumn", "rowTag", "compression", "locale", "whatever", "latestFirst"),
    ],
)
def test_options_that_could_lose_or_change_rows_are_refused(format: str, option: str) -> None:
    said = rf"`options\.{option}` can't be set for `format: {format}`; expected .*leave it out"
    with pytest.raises(ValidationError, match=said):
        Source(**FINE, format=format, options={option: "true"})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x_files", "x_rejected"])
def test_a_source_whose_tables_would_clash_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' can't name a source"):
        Ingest(sources={name: Source(**FINE)})


JDBC = {"url": "jdbc:postgresql://db/shop", "table": "orders", "incremental": "id"}


def test_a_source_is_of_files_or_a_table():
    assert Source.model_validate({"jdbc": JDBC, "columns": ["id"]}).path == ""
    for given, said in [
        ({"columns": ["id"]}, "name the `path` of its files, or a database table"),
        ({"columns": ["id"], "jdbc": JDBC, "path": "x"}, "`path` is for files"),
        ({"columns": ["name"], "jdbc": JDBC}, "`jdbc.incremental: id` must be among `columns`"),
        (
            {"columns": ["id"], "jdbc": JDBC, "delivery": "full_snapshot"},
            "`delivery: full_snapshot` doesn't go with `jdbc`",
        ),
        ({"columns": ["id"], "jdbc": {**JDBC, "url": "db"}}, "expected an address as"),
        (
            {"columns": ["id"], "jdbc": {**JDBC, "url": "jdbc:derby:/elsewhere;create=true"}},
            "no database that is reached over the network",
        ),
        (
            {"columns": ["id"], "jdbc": {**JDBC, "user_env": "TIDEMILL_SECRET_K1"}},
            "is no database's",
        ),
    ]:
        with pytest.raises(ValidationError, match=re.escape(said)):
            Source.model_validate(given)
