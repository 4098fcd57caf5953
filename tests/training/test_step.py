"""Steps: what ranks add up is the gradient of the mean over the global batch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.memory import INPUTS, settings, some_rows

pytestmark = pytest.mark.tensorflow


class Together:
    """A rank whose `sum` adds what the other ranks gave before, or keeps its own for them."""

    size = 2

    def __init__(self, rank: int, others=()) -> None:
        self.rank = rank
        self.others = others
        self.given = None

    def sum(self, tensors):
        self.given = [tensor.numpy() for tensor in tensors]
        return [
            tensor + sum(other[place] for other in self.others)
            for place, tensor in enumerate(tensors)
        ]


def a_stepper(collective, options=None, **changes):
    from pipelines.training.models import build_model
    from pipelines.training.optimizer import Pace, build_optimizer
    from pipelines.training.step import Stepper

    sgd = {"name": "sgd", "momentum": 0, "learning_rate": 0.1, **changes.pop("optimizer", {})}
    chosen = settings(optimizer=sgd, seed=3, **changes)
    options = options or {"hidden": [8], "dropout": 0.3}
    model = build_model("mlp", INPUTS, options, seed=3, outputs=chosen.outputs)
    return Stepper(model, build_optimizer(chosen.optimizer, Pace(5, 2)), chosen, collective)


def a_batch(rows, weights=None):
    import tensorflow as tf

    data = some_rows(20, 1)
    rows = np.asarray(rows, dtype=np.int64)
    x = {name: tf.constant(data[name][rows]) for name in ("numeric", "category")}
    batch = ({**x, "row": tf.constant(rows)}, tf.constant(data["label"][rows]))
    if weights is not None:
        batch = (*batch, tf.constant(np.asarray(weights, np.float32)[rows]))
    return batch


def one_step(stepper, batch):
    import tensorflow as tf

    totals = stepper.train_step(batch, tf.constant(0))
    return stepper.model.get_weights(), totals.numpy()


@pytest.mark.parametrize("options", [None, {"hidden": [8], "l2": 0.1, "embedding_dropout": 0.2}])
@pytest.mark.parametrize("other", [[1, 3, 5, 7, 9, 11, 13], [19], []])
def test_uneven_ranks_move_the_weights_as_one_rank_would(other, options) -> None:
    from pipelines.training.collective import SingleProcess

    mine = [row for row in range(20) if row not in other]
    alone, alone_totals = one_step(a_stepper(SingleProcess(), options), a_batch(range(20)))
    first = Together(1)
    one_step(a_stepper(first, options), a_batch(other))
    weights, totals = one_step(a_stepper(Together(0, [first.given]), options), a_batch(mine))
    for got, expected in zip(weights, alone, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(totals[:-2], alone_totals[:-2], rtol=1e-5, atol=1e-6)


def test_a_loss_that_a_layer_hid_shows_in_the_gradient() -> None:
    import tensorflow as tf

    from pipelines.training.collective import SingleProcess

    x, y = a_batch(range(20))
    hidden = {**x, "numeric": tf.fill(x["numeric"].shape, np.inf)}
    _, totals = one_step(a_stepper(SingleProcess(), {"hidden": [8]}), (hidden, y))
    assert not np.isfinite(totals[-3])


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    from pipelines.training.collective import SingleProcess

    options = {"hidden": [8]}
    weights = np.ones(20)
    weights[4] = 2
    weighted, _ = one_step(a_stepper(SingleProcess(), options), a_batch(range(20), weights))
    doubled, _ = one_step(a_stepper(SingleProcess(), options), a_batch([*range(20), 4]))
    for got, expected in zip(weighted, doubled, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_clipped_after_the_sum_over_ranks() -> None:
    from pipelines.training.collective import SingleProcess

    # Clipped on each rank before the sum, two gradients of this norm would add up to more than it.
    clipped = {"optimizer": {"clip_norm": 0.01}, "options": {"hidden": [8]}}
    before = a_stepper(SingleProcess(), **clipped).model.get_weights()
    alone, totals = one_step(a_stepper(SingleProcess(), **clipped), a_batch(range(20)))
    assert totals[-3] > 0.01, "the gradient as it was"
    moved = np.concatenate([(a - b).ravel() for a, b in zip(alone, before, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(moved), 0.1 * 0.01, rtol=1e-4)
    first = Together(1)
    one_step(a_stepper(first, **clipped), a_batch(range(0, 20, 2)))
    both, _ = one_step(a_stepper(Together(0, [first.given]), **clipped), a_batch(range(1, 20, 2)))
    for got, expected in zip(both, alone, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("parts", [3, 30])
def test_a_batch_in_parts_moves_the_weights_as_the_whole_batch(parts: int) -> None:
    from pipelines.training.collective import SingleProcess

    options = {"hidden": [8], "dropout": 0.3, "l2": 0.1}
    whole, totals = one_step(a_stepper(SingleProcess(), options), a_batch(range(20)))
    in_parts, same = one_step(
        a_stepper(SingleProcess(), options, accumulate_steps=parts), a_batch(range(20))
    )
    for got, expected in zip(in_parts, whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same, totals, rtol=1e-5, atol=1e-6)


def test_a_class_of_weight_two_counts_as_often_in_the_gradient_but_not_in_the_rows() -> None:
    from pipelines.training.collective import SingleProcess
    from pipelines.training.step import Stepper

    options = {"hidden": [8]}
    plain = a_stepper(SingleProcess(), options)
    weighing = Stepper(
        plain.model, plain.optimizer, plain._settings, SingleProcess(), class_weights=[1.0, 2.0]
    )
    data = some_rows(20, 1)["label"]
    weights = np.where(data > 0.5, 2.0, 1.0)
    by_row, by_row_totals = one_step(
        a_stepper(SingleProcess(), options), a_batch(range(20), weights)
    )
    by_class, totals = one_step(weighing, a_batch(range(20)))
    for got, expected in zip(by_class, by_row, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(totals[:2], by_row_totals[:2], rtol=1e-6)
    assert (totals[1], totals[2], totals[4]) == (weights.sum(), 20, data.sum())


@pytest.mark.parametrize(
    ("loss", "error", "expected"),
    [("mse", 3.0, 9.0), ("mae", 3.0, 3.0), ("huber", 3.0, 2 * (3 - 1)), ("huber", 1.0, 0.5)],
)
def test_losses_of_numbers(loss: str, error: float, expected: float) -> None:
    import tensorflow as tf

    from pipelines.training.losses import row_losses

    chosen = settings(loss=loss, huber_delta=2.0)
    found = row_losses(chosen, tf.constant([5.0]), tf.constant([[5.0 - error]]))
    assert found.numpy() == pytest.approx([expected])


def test_labels_out_of_range_are_counted() -> None:
    import tensorflow as tf

    from pipelines.training.losses import bad_labels

    labels = tf.constant([0.0, 1.0, 2.0, 3.0, -1.0, 0.5, np.nan, np.inf])

    def told(**changes):
        return bad_labels(settings(**changes), labels).numpy().tolist()

    assert told() == [0, 0, 1, 1, 1, 1, 1, 1]
    classes = told(loss="categorical_crossentropy", classes=3)
    assert classes == [0, 0, 0, 1, 1, 1, 1, 1]
    assert told(loss="mae") == [0, 0, 0, 0, 0, 0, 1, 1]


def test_gradients_that_travel_as_float16_are_scaled_so_that_no_sum_overflows() -> None:
    import tensorflow as tf

    from pipelines.training.collective import Horovod
    from pipelines.training.signs import Signs

    class Both:
        """Horovod with another rank that has the same numbers."""

        Sum = "sum"

        def __init__(self) -> None:
            self.seen = []

        def allreduce(self, tensor, op, name):
            self.seen.append((name, tensor.dtype))
            return tensor + tensor

    ranks = Horovod.__new__(Horovod)
    ranks._hvd, ranks.signs = Both(), Signs()
    large, small = tf.constant([[1e9, -3e8]]), tf.constant([2e6])
    counts = tf.constant([123456789.0])
    found = ranks.sum([large, small, counts], half=2)
    assert [tensor.shape for tensor in found] == [(1, 2), (1,), (1,)]
    np.testing.assert_allclose(found[0], [[2e9, -6e8]], rtol=1e-3)
    np.testing.assert_allclose(found[1], [4e6], rtol=1e-3)
    np.testing.assert_array_equal(found[2], tf.constant([2 * 123456789.0]))
    assert ("sum_half", tf.float16) in ranks._hvd.seen
