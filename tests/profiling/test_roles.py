"""Label, key and day by names and values."""

import pytest

from pipelines.profiling.casts import Cast
from pipelines.profiling.roles import date_candidates, key_candidates, label_of, likely_label
from pipelines.profiling.types import Typed
from tests.profiling.facts import column


def text(name, values):
    return Typed(column(name, values))


def number(name, values):
    return Typed(column(name, [str(value) for value in values]), Cast("int"))


def test_a_key_has_a_value_of_its_own_in_each_row():
    columns = [
        ("age", number("age", [1, 2, 3])),
        ("customer_id", text("customer_id", ["a", "b", "c"])),
        ("twice_id", text("twice_id", ["a", "a", "c"])),
    ]
    assert key_candidates(columns) == ["customer_id", "age"]


def test_the_day_of_birth_does_not_date_a_row():
    days = [f"2024-01-0{n}" for n in range(1, 6)]
    columns = [
        (name, Typed(column(name, days), Cast("date"))) for name in ("date_of_birth", "ordered_at")
    ]
    assert date_candidates(columns) == ["ordered_at"]


@pytest.mark.parametrize(
    ("values", "yes"),
    [
        (["ja", "nein"] * 5, "ja"),
        (["YES", "NO"] * 5, "YES"),
        (["1", "0"] * 5, "1"),
        (["good", "good", "bad"] * 5, "bad"),
    ],
)
def test_the_positive_class_is_the_word_for_yes_or_the_rarer_one(values, yes):
    assert label_of("label", text("label", values)).classes[1] == yes


def test_the_positive_class_may_be_asked_for():
    label = label_of("label", text("label", ["ja", "nein"] * 5), positive="nein")
    assert label.classes == ("ja", "nein")
    assert "as asked for" in label.why[0]


def test_a_label_of_many_words_has_classes_in_order():
    label = label_of("species", text("species", ["b", "c", "a"] * 4))
    assert (label.task, label.classes) == ("classes", ("a", "b", "c"))


def test_few_whole_numbers_are_classes_unless_a_number_is_asked_for():
    one = number("quality", [10, 3, 4, 5] * 5)
    assert label_of("quality", one).classes == ("3", "4", "5", "10")
    assert label_of("quality", one, task="number").task == "number"
    assert label_of("price", number("price", range(50))).task == "number"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (text("a", ["x"] * 5), "has 1 different values; a label needs two"),
        (
            Typed(column("a", ["2024-01-01", "2024-01-02"]), Cast("date")),
            "expected words, yes and no",
        ),
        (text("a", [f"w{n}" for n in range(200)]), "expected 100 classes at most"),
    ],
)
def test_what_is_no_label_is_told_so(one, said):
    with pytest.raises(ValueError, match=said):
        label_of("a", one)


def test_a_label_is_looked_for_by_its_name_then_by_its_values():
    two, many = text("state", ["on", "off"] * 20), number("size", range(40))
    dated = Typed(column("day", ["2024-01-01", "2024-01-02"]), Cast("date"))
    assert likely_label([("state", two), ("size", many)]) == ("size", "the last column")
    found = likely_label([("state", two), ("size", many), ("day", dated)])
    assert found == ("state", "the last column of two values")
    assert likely_label([("churn", two), ("state", two)])[0] == "churn"
    assert likely_label([("id", many)]) is None


def test_yes_and_no_as_a_type_are_a_label_however_they_are_written():
    one = Typed(column("paid", ["Yes", "yes", "No", "no", "N"] * 4), Cast("boolean"))
    label = label_of("paid", one)
    assert (label.task, label.classes, label.counts) == ("binary", ("false", "true"), (12, 8))
    with pytest.raises(ValueError, match="turn the label round in features"):
        label_of("paid", one, positive="no")


def test_fractions_are_no_classes():
    one = Typed(column("size", ["1,5", "2,5", "3"] * 9), Cast("double", ("1.234,56",)))
    with pytest.raises(ValueError, match="leave --task out"):
        label_of("size", one, task="classes")
