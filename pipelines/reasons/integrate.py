"""Integrated gradients: what each model input adds to a prediction, on the way from the baseline.

The way is cut into a few pieces, and gradients are taken in each. What they add up to there is set
beside what the prediction really moves by: pieces that miss it (a corner of a ReLU lies in them)
are halved, row by row, until a row adds up. What no gradient sees, a jump at the very start of the
way (a mask that switches on), is given to the inputs that are switched, one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.encoding.kind import ModelInput
from pipelines.reasons.parts import GRID, differs, flat, regions, shared_out, tensors
from pipelines.reasons.pieces import Pieces
from pipelines.reasons.walk import Walk

if TYPE_CHECKING:
    import keras

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

PROMISED = 1e-3
"""Residual from which a row counts as not explained."""
_START = 1e-6
_JUMP = 1e-5
_PROBES = 24
_AT_ONCE = 4096
"""Rows on their way in one call."""


@dataclass(frozen=True)
class Contributions:
    """Of rows: `values` (rows, parts), which add up to `outputs - base` but for `residual` (rows,).

    `outputs` and `base` (rows,) are what the model says of the row and of the baseline.
    """

    values: Array
    outputs: Array
    base: Array

    @property
    def residual(self) -> Array:
        """What is missing in the sum."""
        return np.asarray(self.outputs - self.base - self.values.sum(axis=1))

    @property
    def adds_up(self) -> Array:
        """Which rows add up (rows,) to `PROMISED`, of predictions beyond 1 to such a share."""
        size = np.maximum(1.0, np.maximum(np.abs(self.outputs), np.abs(self.base)))
        return np.asarray(np.abs(self.residual) <= PROMISED * size)


class Integrator:
    """A model with its baseline, compiled once.

    `baseline` has a row's value (*shape) of each model input by name.
    """

    def __init__(
        self, model: keras.Model, inputs: Sequence[ModelInput], baseline: Mapping[str, Any]
    ) -> None:
        import tensorflow as tf

        self._model, self._inputs = model, list(inputs)
        self._base = {
            one.name: np.broadcast_to(np.asarray(baseline[one.name], one.dtype), one.shape)
            for one in self._inputs
        }
        self._regions = {one.name: regions(one) for one in self._inputs if one.kind == "image"}
        self.parts = [part for one in self._inputs for part in self._parts_of(one)]
        """What contributions are told of: (input, region of an image or empty)."""
        self._discrete = [one for one in self._inputs if one.dtype == "int32"]
        self._owners = self._who_owns() if self._discrete else []
        self._step = tf.function(self._graph_step, autograph=False, reduce_retracing=True)
        self._output = tf.function(self._graph_output, autograph=False, reduce_retracing=True)

    def __call__(self, arrays: Arrays, target: Array | None = None) -> Contributions:
        """Explain rows: inputs by name, (rows, *shape). `target` (rows,) says which output.

        Without one the likeliest class is explained, or the one output that there is.
        """
        num_rows = len(next(iter(arrays.values())))
        base = self._of_base(num_rows)
        if target is None:
            target = self.says(arrays, base, np.zeros(num_rows, np.int32))[1]
        at_row, _ = self.says(arrays, base, target)
        at_base, _ = self.says(base, base, target)
        jump = self._jump(arrays, base, target, at_base)
        missing = at_row - at_base - jump.sum(axis=1)
        found = Pieces(self, arrays, base, target, at_row, at_row - missing)
        return Contributions(jump + found.values(), at_row, at_base)

    def _of_base(self, num_rows: int) -> dict[str, Array]:
        return {
            name: np.ascontiguousarray(np.broadcast_to(value, (num_rows, *value.shape)))
            for name, value in self._base.items()
        }

    def says(
        self, arrays: Arrays, base: Arrays, target: Array, alpha: Array | float = 1.0
    ) -> tuple[Array, Array]:
        """Return the target's output (rows,), and the largest output's place (rows,)."""
        outputs = self._in_parts(self._output, arrays, base, target, alpha)
        chosen = np.take_along_axis(outputs, target[:, None].astype(np.int64), axis=1)[:, 0]
        return chosen, outputs.argmax(axis=1).astype(np.int32)

    def rates(self, arrays: Arrays, base: Arrays, target: Array, alpha: Array) -> Array:
        """Return what each part adds a unit of the way, at `alpha` (rows,) of it: (rows, parts)."""
        return self._in_parts(self._step, arrays, base, target, alpha)

    def _in_parts(
        self, compiled: Any, arrays: Arrays, base: Arrays, target: Array, alpha: Array | float
    ) -> Array:
        import tensorflow as tf

        num_rows, found = len(target), []
        alphas = np.broadcast_to(np.asarray(alpha, np.float32), (num_rows,))
        for start in range(0, num_rows, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            row, begin = (
                {name: tf.constant(value[part]) for name, value in given.items()}
                for given in (arrays, base)
            )
            place, at = tf.constant(target[part]), tf.constant(alphas[part])
            found.append(compiled(row, begin, place, at).numpy().astype(np.float64))
        return np.concatenate(found) if found else np.zeros((0, len(self.parts)))

    def _jump(self, arrays: Arrays, base: Arrays, target: Array, at_base: Array) -> Array:
        """Return what the start of the way adds (rows, inputs): zeros, but where masks switch."""
        found = np.zeros((len(target), len(self.parts)))
        begun, _ = self.says(arrays, base, target, _START)
        size = np.maximum(1.0, np.abs(at_base))
        if (np.abs(begun - at_base) <= _JUMP * size).all():
            return found
        before, switched = at_base, dict(base)
        for one in self._inputs:
            switched[one.name] = arrays[one.name]
            now, _ = self.says(switched, base, target, _START)
            places = [place for place, part in enumerate(self.parts) if part[0] == one.name]
            found[:, places] = ((now - before) / len(places))[:, None]
            before = now
        return found

    # --- in TensorFlow's graph

    def _graph_output(self, row: Any, base: Any, target: Any, alpha: Any) -> Any:  # noqa: ARG002
        return Walk(alpha)(self._model, row, base)

    def _graph_step(self, row: Any, base: Any, target: Any, alpha: Any) -> Any:
        """Return each part's share of the gradient times the way, (rows, parts)."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            walk = Walk(alpha, tape)
            outputs = walk(self._model, row, base)
            chosen = tf.gather(outputs, target, axis=1, batch_dims=1)
        straight = [*walk.inputs.values(), *walk.parts]
        gradients = tape.gradient(
            chosen, [one for one, _ in straight], unconnected_gradients="zero"
        )
        shares = [
            flat(gradient * difference)
            for gradient, (_, difference) in zip(gradients, straight, strict=True)
        ]
        of_inputs = dict(zip(walk.inputs, shares[: len(walk.inputs)], strict=True))
        nothing = tf.zeros_like(chosen)[:, None]
        found = {one.name: nothing for one in self._inputs}
        for name, share in of_inputs.items():
            places = self._regions.get(name)
            if places is None:
                found[name] = tf.reduce_sum(share, axis=1, keepdims=True)
            else:
                found[name] = tf.matmul(share, tf.constant(places))
        if self._owners:
            moved = tf.stack(
                [differs(row[one.name], base[one.name]) for one in self._discrete], axis=1
            )
            total = tf.add_n(
                [
                    shared_out(share, moved, owners)
                    for share, owners in zip(shares[len(walk.inputs) :], self._owners, strict=True)
                ]
            )
            found |= {
                one.name: total[:, place : place + 1] for place, one in enumerate(self._discrete)
            }
        return tf.concat([found[one.name] for one in self._inputs], axis=1)

    def _parts_of(self, one: ModelInput) -> list[tuple[str, str]]:
        if one.name not in self._regions:
            return [(one.name, "")]
        down, across = (min(GRID, size) for size in one.shape[:2])
        return [(one.name, f"[{r + 1},{c + 1}]") for r in range(down) for c in range(across)]

    def _who_owns(self) -> list[Array]:
        """Return for each part that came out of indices which of them it depends on.

        (indices, elements) of 0 and 1 each: found by changing one index at a time.
        """
        import tensorflow as tf

        random = np.random.default_rng(0)
        start = self._of_base(_PROBES)
        for one in self._discrete:
            start[one.name] = random.integers(
                0, one.cardinality or 1, (_PROBES, *one.shape), dtype=np.int32
            )
        rows: list[list[Array]] = []
        for one in self._discrete:
            size = one.cardinality or 1
            step = random.integers(1, max(2, size), (_PROBES, *one.shape), dtype=np.int32)
            changed = {**start, one.name: (start[one.name] + step) % size}
            walk = Walk(tf.ones([_PROBES]))
            walk(self._model, tensors(changed), tensors(start))
            rows.append([np.any(flat(d).numpy() != 0, axis=0) for _, d in walk.parts])
        return [np.stack(part).astype(np.float32) for part in zip(*rows, strict=True)]
