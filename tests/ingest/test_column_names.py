"""The column that a table has for a header's name, and what `headers` and `columns` may say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.config.column_names import column_name, with_columns_of_headers
from pipelines.config.ingest import Source
from pipelines.ingest.drift import judged_header


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("plain", "plain"),
        ("a.b", "a.b"),
        ("Stra\u00dfe", "Stra\u00dfe"),
        ("\U0001f600", "\U0001f600"),
        ("ends_", "ends_"),
        ("no\u00a0break", "no\u00a0break"),
        ("#1/2-3%", "#1/2-3%"),
        ("Umsatz in \u20ac", "Umsatz_in_\u20ac"),
        ("Alter (Jahre)", "Alter_Jahre"),
        ("(a)", "a"),
        ("a, b; {c}=\n\t`d`", "a_b_c_d"),
        ("_id", "x_id"),
        ("(_id)", "x_id"),
        ("Reasons", "x_Reasons"),
        ("", "column_3"),
        ("  ", "column_3"),
        ("()", "column_3"),
    ],
)
def test_a_header_s_name_makes_a_column_s(name: str, column: str) -> None:
    assert column_name(name, 3) == column


@given(st.text(max_size=12))
def test_a_made_name_can_be_held_and_makes_itself(name: str) -> None:
    made = column_name(name, 1)
    assert made
    assert not re.search(r"[ ,;{}()\n\t=`]", made)
    assert not made.startswith("_")
    assert column_name(made, 1) == made


def test_columns_may_be_named_as_the_header_has_them() -> None:
    source = Source(path="x", columns=("id", "Umsatz in \u20ac", "Alter (Jahre)"))
    assert source.columns == ("id", "Umsatz_in_\u20ac", "Alter_Jahre")
    assert source.headers == {
        "Umsatz_in_\u20ac": "Umsatz in \u20ac",
        "Alter_Jahre": "Alter (Jahre)",
    }
    assert judged_header(("Alter (Jahre)", "id", " Umsatz in \u20ac"), source) == (
        "Alter_Jahre",
        "id",
        "Umsatz_in_\u20ac",
    )


def test_columns_can_be_renamed_at_ingest() -> None:
    source = Source(path="x", columns=("id", "revenue"), headers={"revenue": "Umsatz in \u20ac"})
    assert judged_header(("id", "Umsatz in \u20ac"), source) == ("id", "revenue")
    assert judged_header(("id", "revenue", "Umsatz in \u20ac"), source) == (
        "columns differ from those declared: more than once 'revenue'"
    )


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (("a", "b", "a_2"), ("a", "b", "a")),
        (("id", "ID_2"), ("id", "ID")),
        (("a", "column_2", "column_3"), ("a", "", " ")),
        (("a_b",), ("a b",)),
    ],
)
def test_headers_with_twins_and_empty_names_can_be_declared(columns, header) -> None:
    assert judged_header(header, Source(path="x", columns=columns)) == columns


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"columns": ["a b", "a_b"]},
            "'a b' and 'a_b' of `columns` would both be the table's column 'a_b'",
        ),
        ({"columns": ["a b", "A_b"]}, "'A_b' is there twice"),
        ({"columns": ["a"], "headers": {"b": "c"}}, "`headers.b` is none of `columns`"),
        (
            {"columns": ["a", "b"], "headers": {"a": "x", "b": "x "}},
            "`headers.b` and `headers.a` are both 'x ' in the files",
        ),
        (
            {"columns": ["a", "b"], "headers": {"a": "b"}},
            "'b' of `columns` is what `headers.a` takes from the files",
        ),
    ],
)
def test_names_that_clash_are_refused(settings, said) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Source.model_validate({"path": "x", **settings})


def test_clean_and_privacy_may_name_a_column_as_the_files_do() -> None:
    written = {
        "ingest": {
            "sources": {
                "s": {
                    "columns": ["id", "Umsatz in \u20ac", "age"],
                    "headers": {"age": "Alter (J.)"},
                }
            }
        },
        "clean": {
            "entities": {
                "e": {
                    "source": "s",
                    "columns": {
                        "id": {},
                        "revenue": {"source": "Umsatz in \u20ac"},
                        "years": {"source": "Alter (J.)", "type": "int"},
                        "other": {"source": "Umsatz_in_\u20ac"},
                    },
                }
            }
        },
        "privacy": {"sources": {"s": {"Umsatz in \u20ac": "drop", "id": "drop"}}},
    }
    found = with_columns_of_headers(written)
    assert found["clean"]["entities"]["e"]["columns"] == {
        "id": {},
        "revenue": {"source": "Umsatz_in_\u20ac"},
        "years": {"source": "age", "type": "int"},
        "other": {"source": "Umsatz_in_\u20ac"},
    }
    assert found["privacy"]["sources"]["s"] == {"Umsatz_in_\u20ac": "drop", "id": "drop"}
    assert with_columns_of_headers({"clean": None}) == {"clean": None}
