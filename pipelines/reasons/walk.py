"""A model's way from a baseline to a row, taken a part of it: what gradients are taken along.

Numbers go straight from one to the other. A category has no way between two indices, so the model's
own graph is followed: whatever depends on indices alone is computed of both, and where it becomes
numbers (an embedding) these go straight. What is neither (a mask made of indices) is the row's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Tensors = Mapping[str, Any]


class Both:
    """A value that depends on indices alone: that of the row, and that of the baseline."""

    __slots__ = ("base", "row")

    def __init__(self, row: Any, base: Any) -> None:
        self.row, self.base = row, base


class Walk:
    """One walk: of each row `alpha` (rows,) of the way, from 0 to 1, under `tape`.

    After it `parts` holds what went straight: (tensor under the tape, row less baseline), those of
    `inputs` by name first, then those that came out of indices.
    """

    def __init__(self, alpha: Any, tape: Any = None) -> None:
        self._alpha, self._tape = alpha, tape
        self.inputs: dict[str, tuple[Any, Any]] = {}
        self.parts: list[tuple[Any, Any]] = []

    def __call__(self, model: Any, row: Tensors, base: Tensors) -> Any:
        """Return the model's output there; `row` and `base` are tensors (rows, *shape) by name."""
        given = {}
        for name, value in row.items():
            if value.dtype.is_floating:
                given[name], difference = self._straight(value, base[name])
                self.inputs[name] = (given[name], difference)
            else:
                given[name] = Both(value, base[name])
        return self._through(model, given)

    def _straight(self, row: Any, base: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        difference = row - base
        alpha = tf.reshape(self._alpha, [-1] + [1] * (len(row.shape) - 1))
        between = base + tf.cast(alpha, base.dtype) * difference
        if self._tape is not None:
            self._tape.watch(between)
        return between, difference

    def _through(self, model: Any, given: Any) -> Any:
        import tensorflow as tf

        ordered = [given[one.name] for one in model.inputs] if isinstance(given, dict) else given
        # Keras pairs them with its inputs in this order.
        return model._run_through_graph(
            tf.nest.flatten(ordered) if not isinstance(ordered, list) else ordered,
            operation_fn=self._followed,
        )

    def _followed(self, operation: Any) -> Callable[..., Any]:
        import keras
        from keras import tree

        def call(*args: Any, **kwargs: Any) -> Any:
            leaves = tree.flatten((args, kwargs))
            if isinstance(operation, keras.Model) and hasattr(operation, "_run_through_graph"):
                (given,) = args
                return self._through(operation, given)
            if not any(isinstance(one, Both) for one in leaves):
                return operation(*args, **kwargs)
            of_row = operation(*tree.map_structure(_row, args), **tree.map_structure(_row, kwargs))
            if any(_is_number(one) for one in leaves):
                return of_row
            of_base = operation(
                *tree.map_structure(_base, args), **tree.map_structure(_base, kwargs)
            )
            return tree.map_structure(self._met, of_row, of_base)

        return call

    def _met(self, row: Any, base: Any) -> Any:
        if not row.dtype.is_floating:
            return Both(row, base)
        between, difference = self._straight(row, base)
        self.parts.append((between, difference))
        return between


def _row(value: Any) -> Any:
    return value.row if isinstance(value, Both) else value


def _base(value: Any) -> Any:
    return value.base if isinstance(value, Both) else value


def _is_number(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return bool(getattr(dtype, "is_floating", False))
