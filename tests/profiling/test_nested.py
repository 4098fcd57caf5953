"""Objects in JSON are taken apart by dotted names; lists are lists of one kind, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.profiling.nested import DEEPEST, items_type, leaf_paths, reading

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)


def test_paths_lead_to_values_and_not_to_objects():
    texts = ['{"city": "Bonn", "at": {"lat": 1, "lon": 2}}', '{"city": null, "zip": "05"}']
    assert leaf_paths(texts) == [("city",), ("at", "lat"), ("at", "lon"), ("zip",)]
    assert reading("place", ("at", "lat")) == (
        "nullif(get_json_object(`place`, \"$['at']['lat']\"), '')"
    )


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), values, max_size=3), max_size=5))
def test_each_path_leads_to_a_value_of_some_object(objects):
    for path in leaf_paths([json.dumps(one) for one in objects]):
        assert len(path) <= DEEPEST
        assert any(_has(one, path) for one in objects)


def _has(value, path):
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


@pytest.mark.parametrize("text", ["Bonn", "[1]", "{broken", "3"])
def test_what_is_no_object_is_not_taken_apart(text):
    assert leaf_paths(['{"a": 1}', text]) == []


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["[1, 2.5]", "[]"], "double"),
        (['["a"]', '["b", "c"]'], "string"),
        (['["a", 1]'], ""),
        (["[[1]]"], ""),
        (["[true]"], ""),
        (["[]"], ""),
        (["[1]", "x"], ""),
    ],
)
def test_a_list_has_items_of_one_kind_or_is_none(texts, kind):
    assert items_type(texts) == kind
