"""Requests that come while the model computes go together; each gets its own answer or fault."""

import asyncio
import threading

import numpy as np
import pytest

from pipelines.errors import PredictionError
from pipelines.serving.batches import Batches
from pipelines.serving.predictor import Prepared, joined


class Slow:
    """Says each row's number; waits until it may, and keeps what it was given."""

    def __init__(self):
        self.calls, self.may = [], threading.Event()

    def answer(self, parts):
        self.calls.append([part.num_rows for part in parts])
        assert self.may.wait(30)
        if any((part.arrays["x"] < 0).any() for part in parts):
            raise PredictionError("a bad row")
        return [part.arrays["x"].tolist() for part in parts]


def rows(*numbers):
    return Prepared({"x": np.array(numbers, float)}, len(numbers))


def together(most_rows, *requests, predictors=None):
    """Ask all at once: the answers, or faults, the first predictor's calls, and what was told."""
    told, slow = [], Slow()
    chosen = predictors or [slow] * len(requests)

    async def ask():
        batches = Batches(most_rows, lambda *counts: told.append(counts))
        asked = [
            asyncio.create_task(batches(predictor, one))
            for predictor, one in zip(chosen, requests, strict=True)
        ]
        await asyncio.sleep(0.05)
        for predictor in chosen:
            predictor.may.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask()), chosen[0].calls, told


def test_who_comes_first_waits_for_nobody_and_the_others_go_together():
    answers, calls, told = together(100, rows(1), rows(2, 3), rows(4), rows(5))
    assert answers == [[1], [2, 3], [4], [5]]
    # All are waiting when the first call is made, as one loop has put them there.
    assert sum(map(len, calls)) == 4
    assert len(calls) <= 2
    assert [sum(count) for count in zip(*told, strict=True)] == [4, 5]


def test_a_batch_holds_no_more_rows_than_it_may():
    answers, calls, _ = together(4, *[rows(n, n) for n in range(5)])
    assert answers == [[n, n] for n in range(5)]
    assert all(sum(call) <= 4 for call in calls)


@pytest.mark.parametrize("most_rows", [0, 4])
def test_a_large_request_and_every_one_without_batches_goes_by_itself(most_rows):
    answers, calls, _ = together(most_rows, rows(1, 2, 3), rows(4, 5, 6))
    assert answers == [[1, 2, 3], [4, 5, 6]]
    assert calls == [[3], [3]]


def test_a_fault_is_told_to_the_one_whose_it_is():
    answers, _, _ = together(100, rows(1), rows(2), rows(-3), rows(4))
    assert [answers[0], answers[1], answers[3]] == [[1], [2], [4]]
    assert isinstance(answers[2], PredictionError)


def test_versions_are_not_mixed():
    old, new = Slow(), Slow()
    answers, calls, _ = together(100, rows(1), rows(2), rows(3), predictors=[old, new, old])
    assert answers == [[1], [2], [3]]
    assert calls == [[1], [1]]
    assert new.calls == [[1]]


def test_arrays_of_requests_are_put_below_each_other_and_lists_are_padded():
    texts = [np.array(one, object) for one in ([[b"a"]], [[b"b", b"c"]])]
    found = joined(
        [{"x": np.array([[1.0]]), "t": texts[0]}, {"x": np.zeros((2, 3)), "t": texts[1]}]
    )
    np.testing.assert_array_equal(found["x"], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert found["t"].tolist() == [[b"a", b""], [b"b", b"c"]]
