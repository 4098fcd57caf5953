from __future__ import annotations

import pytest

from pipelines.config.train import Optimizer

pytestmark = pytest.mark.tensorflow


def rates(settings: Optimizer, total: int, steps: list[int]) -> list[float]:
    from pipelines.training.optimizer import WarmUpAndDecay

    schedule = WarmUpAndDecay(settings, total)
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
    from pipelines.training.optimizer import build_optimizer

    assert build_optimizer(Optimizer(name=name, weight_decay=0.1), 10).weight_decay == 0.1
    assert build_optimizer(Optimizer(name=name), 10) is not None
