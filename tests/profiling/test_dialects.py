"""Encoding and separator of a CSV file by its bytes."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.profiling.dialects import EncodingEvidence, head_of, separator_of

TEXT = "id;Straße;Preis in €\n1;Allee;5 €\n"


def encoding(content: bytes, size: int = 7) -> str:
    evidence = EncodingEvidence()
    for start in range(0, len(content), size):
        evidence.add(content[start : start + size])
    return evidence.finding().value


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_an_encoding_is_known_by_its_bytes(written, found):
    content = TEXT.encode(written)
    assert encoding(content) == found
    assert head_of([content], found) == TEXT


def test_a_letter_far_behind_decides():
    assert encoding(b"a,b\n" + b"1,2\n" * 50_000 + "ä,1\n".encode("cp1252"), 4096) == "cp1252"


def test_bytes_that_windows_has_not_are_latin_1():
    assert encoding(b"a,b\n\x81,\xe4\n") == "latin-1"


letters = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\"'"), max_size=8
)


@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.integers(2, 6).flatmap(
        lambda width: st.lists(
            st.lists(letters, min_size=width, max_size=width), min_size=3, max_size=20
        )
    ),
)
def test_a_separator_is_found_whatever_the_values_hold(letter, rows):
    header = [f"name_{place}" for place in range(len(rows[0]))]
    stream = io.StringIO()
    csv.writer(stream, delimiter=letter).writerows([header, *rows])
    found = separator_of(stream.getvalue())
    assert found.value == letter
    assert f"{len(header)} fields" in found.why


def test_decimal_commas_do_not_make_fields():
    assert separator_of("a;b\n1,5;2,5\n3,5;4,5\n").value == ";"


def test_a_file_without_a_header_is_told_so():
    with pytest.raises(ValueError, match="its first line looks like a row"):
        separator_of("1,2.5,2024-01-01\n2,3.5,2024-01-02\n")


def test_a_single_column_is_separated_by_nothing():
    assert separator_of("name\nAnna\nBen\n").value == ","
