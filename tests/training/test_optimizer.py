from __future__ import annotations

import pytest

from pipelines.config.optimizer import Optimizer

pytestmark = pytest.mark.tensorflow


def rates(settings: Optimizer, total: int, steps: list[int], batch_size: int = 1) -> list[float]:
    """Rates of a training of `total` steps in two epochs."""
    from pipelines.training.optimizer import Pace, WarmUpAndDecay

    schedule = WarmUpAndDecay(settings, Pace(total // 2, 2, batch_size))
    return [float(schedule(step)) for step in steps]


def test_a_constant_rate_stays() -> None:
    assert rates(Optimizer(learning_rate=0.5), 10, [0, 5, 99]) == [0.5, 0.5, 0.5]


def test_the_rate_rises_in_a_line_over_the_warm_up() -> None:
    found = rates(Optimizer(learning_rate=1.0, warmup_steps=4), 10, [0, 1, 3, 4, 9])
    assert found == pytest.approx([0.25, 0.5, 1.0, 1.0, 1.0])


def test_the_rate_falls_to_zero_along_a_cosine_after_the_warm_up() -> None:
    settings = Optimizer(learning_rate=2.0, warmup_steps=2, schedule="cosine")
    assert rates(settings, 12, [2, 7, 12, 20]) == pytest.approx([2.0, 1.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_each_optimizer_takes_weight_decay(name: str) -> None:
    from pipelines.training.optimizer import Pace, build_optimizer

    pace = Pace(5, 2)
    assert build_optimizer(Optimizer(name=name, weight_decay=0.1), pace).weight_decay == 0.1
    assert build_optimizer(Optimizer(name=name), pace) is not None


def test_the_rate_falls_in_a_line_to_the_share_asked_for() -> None:
    settings = Optimizer(learning_rate=1.0, schedule="linear", final_share=0.2)
    assert rates(settings, 10, [0, 5, 10]) == pytest.approx([1.0, 0.6, 0.2])


def test_the_rate_falls_by_epochs_smoothly_or_all_at_once() -> None:
    settings = {"learning_rate": 1.0, "decay_rate": 0.25, "decay_epochs": 2}
    smooth = rates(Optimizer(schedule="exponential", **settings), 20, [0, 10, 20, 40])
    assert smooth == pytest.approx([1.0, 0.5, 0.25, 0.0625])
    stairs = rates(Optimizer(schedule="step", **settings), 20, [0, 19, 20, 39, 40])
    assert stairs == pytest.approx([1.0, 1.0, 0.25, 0.25, 0.0625])


def test_the_warm_up_may_be_given_in_epochs() -> None:
    settings = Optimizer(learning_rate=1.0, warmup_epochs=0.5)
    assert rates(settings, 16, [0, 1, 3, 4]) == pytest.approx([0.25, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(("scaling", "expected"), [("linear", 0.4), ("sqrt", 0.2)])
def test_the_rate_follows_the_batch_from_its_reference(scaling: str, expected: float) -> None:
    settings = Optimizer(learning_rate=0.1, reference_batch_size=256, scaling=scaling)
    assert rates(settings, 4, [0], batch_size=1024) == pytest.approx([expected])
    assert rates(settings, 4, [0], batch_size=256) == pytest.approx([0.1])


def test_momentum_looks_ahead_where_asked() -> None:
    from pipelines.training.optimizer import Pace, build_optimizer

    built = build_optimizer(Optimizer(name="sgd", momentum=0.5, nesterov=True), Pace(5, 2))
    assert (built.momentum, built.nesterov) == (0.5, True)


def test_each_part_of_the_gradient_is_clipped_by_value() -> None:
    import keras
    import numpy as np

    from pipelines.training.optimizer import Pace, build_optimizer

    variable = keras.Variable(np.zeros(2, np.float32))
    settings = Optimizer(name="sgd", momentum=0, learning_rate=1.0, clip_value=0.5)
    build_optimizer(settings, Pace(5, 2)).apply(
        [keras.ops.convert_to_tensor([3.0, -0.25])], [variable]
    )
    np.testing.assert_allclose(variable.numpy(), [-0.5, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"warmup_steps": 3, "warmup_epochs": 1}, "warmup_steps.*warmup_epochs.*both given"),
        ({"clip_norm": 1, "clip_value": 1}, "clip_norm.*clip_value.*both given"),
        ({"name": "adam", "nesterov": True}, "needs `train.optimizer.name: sgd`"),
    ],
)
def test_contradictions_are_named(given: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Optimizer(**given)
