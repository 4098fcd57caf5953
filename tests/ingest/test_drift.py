"""Columns that are not the declared ones: what each `schema_drift` lets pass."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.errors import SchemaDrift
from pipelines.ingest.drift import (
    BadFile,
    different_types,
    judge_names,
    refuse_drift,
    tolerated,
)
from pipelines.ingest.files import LandingFile


def source(drift: str) -> Source:
    return Source(path="x", columns=("a", "b"), schema_drift=drift)  # type: ignore[arg-type]


@pytest.mark.parametrize("drift", ["aside", "fail", "add", "ignore"])
def test_another_order_is_no_drift(drift: str) -> None:
    judge_names(["b", "a"], source(drift))
    assert tolerated(["b", "a"], source(drift)) == ""


@pytest.mark.parametrize(
    ("drift", "found", "said"),
    [
        ("add", ["b", "c"], "no 'a', null in its rows; 'c' taken into the table"),
        ("ignore", ["b", "c"], "no 'a', null in its rows; 'c' left out"),
        ("ignore", ["a", "b", "what is it?"], "'what is it?' left out"),
    ],
)
def test_new_and_missing_columns_pass_and_it_is_said(drift, found, said) -> None:
    judge_names(found, source(drift))
    assert tolerated(found, source(drift)) == said


@pytest.mark.parametrize(
    ("drift", "found", "reason"),
    [
        ("aside", ["b", "c"], "missing 'a'; not declared 'c'"),
        ("fail", ["b", "c"], "missing 'a'; not declared 'c'"),
        ("add", ["c", "d"], "none of them is there, only 'c', 'd'"),
        ("ignore", ["A", "b"], "not declared in these letters 'A'"),
        ("add", ["a", "b", "c d", "_row"], "new, and no name for a column 'c d', '_row'"),
        ("add", ["a", "b", "a"], "more than once 'a'"),
        ("add", ["a", "b", "c", "C"], "alike but for capital letters 'c', 'C'"),
        ("ignore", ["a", "c", "C"], "alike but for capital letters 'c', 'C'"),
    ],
)
def test_what_cannot_pass_has_a_reason(drift, found, reason) -> None:
    with pytest.raises(BadFile) as finding:
        judge_names(found, source(drift))
    assert str(finding.value) == f"columns differ from those declared: {reason}"


@pytest.mark.parametrize(
    ("drift", "found", "expected", "said"),
    [
        ("aside", "int", "bigint", "'a' is int, expected bigint"),
        ("add", "int", "bigint", ""),
        ("ignore", "float", "double", ""),
        ("add", "bigint", "int", "'a' is bigint, expected int"),
        ("ignore", "bigint", "double", "'a' is bigint, expected double"),
        ("add", "string", "int", "'a' is string, expected int"),
    ],
)
def test_a_narrower_type_is_read_as_the_tables_where_drift_may_pass(
    drift, found, expected, said
) -> None:
    different = different_types({"a": found}, {"a": expected}, source(drift))
    assert different == ({"a": said} if said else {})


def test_what_stops_a_run_is_said_with_what_was_expected_and_how_to_go_on() -> None:
    files = [LandingFile(f"x/{n}.csv", 0, 1, "", "") for n in range(5)]
    why = "columns differ from those declared: missing 'a'"
    refuse_drift("x", source("fail"), {files[0]: "the file is empty: it has no header"})
    with pytest.raises(SchemaDrift) as error:
        refuse_drift("x", source("fail"), dict.fromkeys(files, why))
    assert str(error.value) == (
        f"5 new files of source 'x' are not as declared: x/0.csv: {why}; x/1.csv: {why}; x/2.csv: "
        f"{why}; and 2 more. Expected the columns 'a', 'b', in any order. Nothing was written. "
        "Deliver them as declared, or declare their columns, or say with "
        "`ingest.sources.x.schema_drift` what to do: `add` takes new columns into the table, "
        "`ignore` leaves them out (a missing column is null with either), `aside` puts such files "
        "aside and reads the others."
    )
