"""Mixed precision: what a model computes in while it is built, and the scale of its loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Make layers that are built inside compute in a precision; weights stay float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def scaled(optimizer: keras.optimizers.Optimizer, precision: str) -> keras.optimizers.Optimizer:
    """Return the optimizer, for `mixed_float16` inside one that scales the loss."""
    import keras

    if precision != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def loss_scale(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the factor that the loss is to be multiplied by, or None where there is none."""
    import keras

    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.ops.convert_to_tensor(optimizer.dynamic_scale)
    return None
