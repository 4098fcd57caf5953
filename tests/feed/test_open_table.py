"""The feed in a notebook: what `open_table` gives, and what it says of what it can't."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import FeedError, SchemaError, TableNotFound, UsageError
from pipelines.feed.columns import FeedColumns, Shaped
from pipelines.feed.dataset import open_table
from tests.feed.tables import COLUMNS
from tests.lake.logs import PROTOCOL, column, commit, metadata

ONE_KIND = FeedColumns(numeric=["a", "b"])


def positions(dataset) -> list[int]:
    return np.concatenate([x["_position"].numpy() for x, *_ in dataset]).tolist()


def test_each_pass_has_an_order_of_its_own_that_follows_from_the_seed(make_table):
    path = make_table([300, 50])
    dataset, again = (open_table(path, COLUMNS, batch_size=32, seed=7) for _ in range(2))
    passes = [positions(dataset) for _ in range(3)]
    assert all(sorted(one) == list(range(350)) for one in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert [positions(again) for _ in range(3)] == passes
    assert positions(open_table(path, COLUMNS, batch_size=32, seed=8)) not in passes


def test_without_a_seed_every_pass_is_in_the_order_of_positions(make_table):
    dataset = open_table(make_table([30, 5]), COLUMNS, batch_size=10)
    assert [positions(dataset) for _ in range(2)] == [list(range(35))] * 2


def test_a_batch_larger_than_the_table_is_all_of_it_shuffled_or_not(make_table):
    path = make_table([30, 5])
    for seed in (None, 1):
        ((x, y),) = open_table(path, COLUMNS, seed=seed)
        assert sorted(x["_position"].numpy()) == list(range(35))
        assert y.shape == (35,)


def test_keras_learns_in_several_epochs_without_a_warning(make_table):
    import keras

    inputs = keras.Input((2,), name="numeric")
    model = keras.Model({"numeric": inputs}, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    dataset = open_table(make_table([100]), ONE_KIND, batch_size=32, seed=1)
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)  # warnings are errors
    assert len(history.history["loss"]) == 2


def test_a_batch_holds_what_was_asked_for_and_nothing_else(make_table):
    path = make_table([30])
    (x, _), *_ = open_table(path, ONE_KIND)
    assert set(x) == {"numeric"}
    (x, _), *_ = open_table(path, FeedColumns(category=["c"], keys=["_position"], row=True))
    assert set(x) == {"category", "_position", "row"}


@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS,
        ONE_KIND,
        FeedColumns(numeric=["a"], weight="b"),
        FeedColumns(category=["c"], label=None, row=True),
    ],
)
def test_no_rows_give_an_empty_data_set_of_the_same_signature(make_table, columns):
    import tensorflow as tf

    path = make_table([30])
    full = open_table(path, columns)
    empty = open_table(path, columns, where={"_split": "no such split"})
    assert list(empty) == []
    assert empty.cardinality() == 0
    assert empty.element_spec == full.element_spec
    shuffled = open_table(path, columns, where={"_split": "no such split"}, seed=1)
    assert isinstance(shuffled, tf.data.Dataset)
    assert shuffled.element_spec == full.element_spec


def test_an_empty_table_is_an_empty_data_set_images_and_lists_included(tmp_path):
    lists = {"type": "array", "elementType": "float", "containsNull": True}
    schema = (column("x", "float"), column("v", lists), column("p", "binary"))
    commit(tmp_path / "t", 0, PROTOCOL, metadata(*schema))
    columns = FeedColumns(
        numeric=["x"],
        arrays=[Shaped("v", (3,))],
        images=[Shaped("p", (8, 8, 3))],
        label=None,
    )
    empty = open_table(tmp_path / "t", columns)
    assert list(empty) == []
    shapes = {name: tuple(spec.shape) for name, spec in empty.element_spec.items()}
    assert shapes == {"numeric": (None, 1), "v": (None, 3), "p": (None, 8, 8, 3)}
    with pytest.raises(SchemaError, match="no column 'y'"):
        open_table(tmp_path / "t", FeedColumns(numeric=["y"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"numeric": "distance"}, r"numeric='distance' is one column; expected.*\['distance'\]"),
        ({"keys": "id", "numeric": ["a"]}, "keys='id' is one column"),
        ({"numeric": {"a", "b"}}, "is no list; expected a list or tuple of names, whose order"),
        ({"numeric": {"a": 1}}, "is no list; expected a list or tuple of names, whose order"),
        ({"numeric": 3}, "numeric=3 is no list"),
        ({"category": [3]}, "category holds 3; expected a list of names"),
        ({"numeric": ["a"], "label": ["y"]}, r"label=\['y'\] is no column"),
        ({"arrays": ["v"]}, r"arrays holds 'v'; expected a list of Shaped\(name, shape\)"),
        ({"arrays": Shaped("v", (3,))}, "is one column; expected a list"),
    ],
)
def test_columns_that_are_no_list_of_names_are_refused(arguments, message):
    with pytest.raises(FeedError, match=message):
        FeedColumns(**arguments)


def test_columns_may_come_in_anything_that_has_an_order():
    expected = FeedColumns(numeric=("a", "b"))
    assert FeedColumns(numeric=np.array(["a", "b"])) == expected
    assert FeedColumns(numeric=(name for name in "ab")) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"version": -1}, UsageError, "-1 is no version of a table"),
        ({"version": "0"}, UsageError, "'0' is no version of a table"),
        ({"batch_size": 0}, UsageError, "batch_size=0; expected a whole number from 1"),
        ({"batch_size": 2.5}, UsageError, r"batch_size=2\.5; expected a whole number"),
        ({"seed": -1}, UsageError, "seed=-1; expected a whole number from 0"),
        ({"where": {"_split": 3}}, UsageError, "3 is no value of the partition column '_split'"),
        ({"where": {"_split": ["a", 3]}}, UsageError, "Expected a text such as '3'"),
        ({"where": "_split"}, UsageError, "where='_split' names no partition"),
        ({"where": {"split": "a"}}, SchemaError, "not partitioned by 'split'.*mean '_split'"),
        ({"columns": ["a"]}, UsageError, r"columns=\['a'\] can't be fed; expected FeedColumns"),
        ({"columns": FeedColumns(numeric=["aa"])}, SchemaError, "no column 'aa'"),
        ({"lake": "{root}/lake", "table": "golden.rows"}, UsageError, "no layer.*mean 'gold'"),
        ({"lake": "{root}/lake", "table": "gold.row"}, TableNotFound, r"mean 'gold\.rows'"),
        ({"lake": "{root}/lake", "table": "silver.x"}, TableNotFound, "silver holds none"),
        ({"lake": "{root}/leak", "table": "gold.rows"}, TableNotFound, "no lake at .*/leak"),
        ({"lake": 3, "table": "gold.rows"}, UsageError, "lake=3; expected a path or a URI"),
        ({"table": "{root}"}, TableNotFound, "it has no _delta_log/"),
        ({"table": None}, UsageError, "table=None; expected a path or a URI"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(make_table, arguments, error, message):
    path = Path(make_table([30], name="lake/gold/rows"))
    root = str(path.parents[2])
    given = {"table": path, "columns": COLUMNS, **arguments}
    given = {k: v.format(root=root) if isinstance(v, str) else v for k, v in given.items()}
    with pytest.raises(error, match=message) as raised:
        open_table(given.pop("table"), given.pop("columns"), **given)
    assert "\n" not in str(raised.value)


def test_a_table_is_found_by_its_name_or_its_place_as_text_or_path(make_table):
    path = Path(make_table([30], name="lake/gold/rows"))
    lake = path.parents[1]
    for dataset in (
        open_table(path, COLUMNS),
        open_table(f"file://{path}/", COLUMNS),
        open_table("gold.rows", COLUMNS, lake=lake),
        open_table("gold.rows", COLUMNS, lake=f"{lake}/"),
    ):
        assert positions(dataset) == list(range(30))
