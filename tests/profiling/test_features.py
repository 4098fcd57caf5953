"""Which features a column becomes, and which it does not."""

from dataclasses import replace

from pipelines.profiling.casts import Cast, suggested
from pipelines.profiling.features import LeftOut, features_of
from pipelines.profiling.types import Typed
from tests.profiling.facts import column


def kinds(found):
    return {one.name: one.settings["kind"] for one in found}


def test_a_number_of_few_whole_values_is_a_category_too():
    one = Typed(column("floor", [str(n % 5) for n in range(50)]), Cast("int"))
    found = features_of("floor", one)
    assert kinds(found) == {"floor": "numeric", "floor_value": "category"}
    assert found[1].sql == "CAST(`floor` AS STRING)"


def test_a_number_with_gaps_says_where_they_are():
    one = Typed(column("size", ["1.5", "", "2.5", "3.5"]), Cast("double"))
    (found,) = features_of("size", one)
    assert found.settings["missing_flag"]
    assert "25 % missing" in found.why


def test_a_number_beside_a_sign_is_a_number_and_no_id():
    facts = column("discount", [f"{n} %" for n in range(50)])
    (cast,) = (one for one in suggested(facts.sample) if one.derive)
    one = Typed(facts, cast)
    (found,) = features_of(one.usable("discount"), one)
    assert (found.name, found.settings["kind"]) == ("discount_value", "numeric")


def test_a_word_is_a_category_whose_rare_ones_count_as_one():
    (found,) = features_of("city", Typed(column("city", ["Berlin", "Bonn"] * 20)))
    assert found.settings == {"kind": "category", "min_count": 2}


def test_many_words_are_hashed():
    facts = replace(column("city", ["x", "y"]), present=10_000, rows=10_000, distinct=3_000)
    (found,) = features_of("city", Typed(facts))
    assert found.settings == {"kind": "hashed", "buckets": 4096}


def test_sentences_become_their_length_and_words():
    facts = replace(column("note", ["x", "y"]), present=100, rows=100, distinct=99, mean_length=60)
    assert kinds(features_of("note", Typed(facts))) == {
        "note_length": "numeric",
        "note_words": "sequence",
    }


def test_a_day_becomes_its_parts_and_how_far_it_lies_back():
    one = Typed(column("paid", ["2024-01-01", "2024-02-01"]), Cast("date"))
    assert set(kinds(features_of("paid", one))) == {"paid_month", "paid_weekday", "paid_days"}
    assert "paid_days" not in kinds(features_of("paid", one, is_date=True))


def test_what_tells_nothing_is_left_out_with_the_reason():
    empty = replace(column("a", ["x", "y"]), present=0, distinct=0)
    constant = column("a", ["x"] * 5)
    names = replace(column("a", ["x", "y"]), present=100, rows=100, distinct=99, mean_length=6)
    listed = replace(column("a", ["x", "y"]), kind="map<string,int>")
    for one, same, said in (
        (Typed(empty), "", "empty"),
        (Typed(constant), "", "the same value in all rows"),
        (Typed(names), "", "nearly each row has its own"),
        (Typed(listed, Cast("map<string,int>")), "", "derive plain values"),
        (Typed(column("a", ["x", "y"])), "b", "the same as b in every row"),
    ):
        found = features_of("a", one, same_as=same)
        assert isinstance(found, LeftOut)
        assert said in found.why


def test_lists_become_their_first_items():
    numbers = Typed(replace(column("a", ["x", "y"]), kind="array<bigint>"), Cast("array<bigint>"))
    (found,) = features_of("a", numbers)
    assert (found.settings["kind"], found.sql) == ("array", "`a`")
    (found,) = features_of("tags", Typed(column("tags", ['["new"]', '["old", "new"]'] * 5)))
    assert (found.settings["kind"], found.name) == ("sequence", "tags_items")
    assert found.sql == "from_json(`tags`, 'array<string>')"
