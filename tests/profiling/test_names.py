"""Names in silver are plain, whatever a header holds, and no two are alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.profiling.names import LONGEST, plain_name, plain_names


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Umsatz in €", "umsatz_in_eur"),
        ("Straße", "strasse"),
        ("customerId", "customer_id"),
        ("HTTPStatus", "httpstatus"),
        ("a.b", "a_b"),
        ("2024", "c_2024"),
        ("", "column"),
        ("%", "percent"),
        ("line\nbreak", "line_break"),
    ],
)
def test_a_name_is_made_plain(header, name):
    assert plain_name(header) == name


@given(st.lists(st.text(max_size=80), unique=True, max_size=12))
def test_names_are_identifiers_and_no_two_are_alike(headers):
    names = plain_names(headers, ("prediction_at",))
    assert set(names) == set(headers)
    assert len(set(names.values())) == len(headers)
    for name in names.values():
        assert name.isascii()
        assert name.isidentifier()
        assert name == name.lower()
        assert len(name) <= LONGEST + 4
        assert name != "prediction_at"
