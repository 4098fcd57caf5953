from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.errors import FeedError
from pipelines.feed.columns import FeedColumns


@dataclass(frozen=True)
class Input:
    name: str
    kind: str


def test_inputs_are_sorted_into_two_matrices_in_their_order():
    inputs = [Input("c2", "category"), Input("n2", "numeric"), Input("c1", "category")]
    columns = FeedColumns.of([*inputs, Input("n1", "numeric")], weight="w", keys=["_position"])
    assert columns.numeric == ("n2", "n1")
    assert columns.category == ("c2", "c1")
    assert columns.names == ("n2", "n1", "c2", "c1", "_label", "w", "_position")
    found = [(one.name, one.dtype, one.is_matrix) for one in columns.components]
    assert found == [
        ("numeric", np.float32, True),
        ("category", np.int32, True),
        ("label", np.float32, False),
        ("weight", np.float32, False),
        ("_position", np.int64, False),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"numeric": ["a", "a"]}, r"same column twice: \['a'\]"),
        ({"label": None}, "no column; give it at least one input"),
        ({"numeric": ["a"], "keys": ["row"]}, r"can't be named \['row'\]"),
        ({"numeric": ["a"], "label": None, "weight": "w"}, "weight 'w' without a label"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(arguments, message):
    with pytest.raises(FeedError, match=message):
        FeedColumns(**arguments)
