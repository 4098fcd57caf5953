"""Training steps, compiled: gradients of the global batch on every rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.train import Train
from pipelines.ranks.collective import Collective
from pipelines.training.losses import bad_labels, label_sums, row_losses, weight_of_class
from pipelines.training.models.inputs import input_names
from pipelines.training.models.precision import loss_scale

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Array = np.ndarray[Any, Any]
_LOSS, _WEIGHT, _ROWS, _BAD, _LABELS = range(5)
"""Places in a step's totals; labels take the rest of them."""
_TINY = 1e-30
_SMALLEST_SCALE = 2.0**-10
"""Of the loss in float16: below it, it is the gradient that is no number, not its range."""


@dataclass(frozen=True)
class Steps:
    """What some steps in a row gave: one value a step, but for `waited`."""

    loss: Array
    """Mean loss of the global batch, without penalties of the model."""
    weight: Array
    """Sum of weights of the global batch, class weights included."""
    rows: Array
    """The same without class weights: its number of rows, where they have no weights."""
    labels: Array
    """(steps, outputs): weighted sum of its labels, or weight of each class."""
    gradient: Array
    """Norm of its gradient, before any clipping. It is no number where a layer hid such a loss
    (ReLU makes 0 of NaN)."""
    bad: Array
    """Number of its labels that the loss can't take."""
    lowest: Array
    """Lowest label of this rank's rows."""
    highest: Array
    waited: float
    """Seconds this rank waited for rows."""


def unpack(model: keras.Model, batch: tuple[Any, ...]) -> tuple[dict[str, Any], Any, Any]:
    """Return the model's arrays, labels and weights of an element of the feed."""
    import tensorflow as tf

    x, labels = batch[0], batch[1]
    weights = batch[2] if len(batch) > 2 else tf.ones_like(labels)
    return {name: x[name] for name in input_names(model)}, labels, weights


class Stepper:
    """Runs steps of one model on this rank, in step with the others."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        settings: Train,
        collective: Collective,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        import tensorflow as tf

        self.model = model
        self.optimizer = optimizer
        self._settings = settings
        self._collective = collective
        self._class_weights = class_weights
        optimizer.build(model.trainable_variables)
        # Many steps a call: what Python does between them is not paid for each of them.
        self._run: Callable[..., Any] = tf.function(self._steps, autograph=False)

    def run(self, iterator: Any, steps: int, epoch: int) -> Steps:
        """Take `steps` steps with the next elements of the feed."""
        import tensorflow as tf

        values, waited = self._run(iterator, tf.constant(steps), tf.constant(epoch))
        found = values.numpy().astype(np.float64).T
        totals, (gradient, lowest, highest) = found[:-3], found[-3:]
        return Steps(
            loss=totals[_LOSS] / np.maximum(totals[_WEIGHT], _TINY),
            weight=totals[_WEIGHT],
            rows=totals[_ROWS],
            labels=totals[_LABELS:].T,
            gradient=gradient,
            bad=totals[_BAD],
            lowest=lowest,
            highest=highest,
            waited=float(waited),
        )

    def train_step(self, batch: tuple[Any, ...], epoch: tf.Tensor) -> tf.Tensor:
        """Move the weights by one global batch.

        Return the totals over the ranks, then the norm of the gradient and the lowest and highest
        label of this rank's rows.

        Each rank sums the gradients of its rows. The sum over ranks, divided by the global sum of
        weights, is the gradient of the mean over the global batch, however its rows are spread: a
        rank may have none of them.
        """
        import tensorflow as tf

        sums = self._sums_of_parts(batch, epoch)
        if self._settings.gradient_compression == "none":
            *gradients, totals = self._collective.sum(sums)
        else:
            *gradients, totals = self._collective.sum(sums, half=len(sums) - 1)
        # All rows of a batch may be of a class without weight.
        weight = tf.maximum(totals[_WEIGHT], _TINY)
        scale = loss_scale(self.optimizer)
        if scale is not None:
            weight /= self._settings.batch_size
        mean = [gradient / weight for gradient in gradients]
        self.optimizer.apply(mean, self.model.trainable_variables)
        norm = tf.linalg.global_norm(mean)
        if scale is not None:
            # Its optimizer skips a step that overflows, and tries a smaller scale in the next.
            is_passing = ~tf.math.is_finite(norm) & (scale > _SMALLEST_SCALE)
            norm = tf.where(is_passing, 0.0, norm / scale)
        own = [norm, tf.reduce_min(batch[1]), tf.reduce_max(batch[1])]
        return tf.concat([totals, tf.stack(own)], axis=0)

    def _sums_of_parts(self, batch: tuple[Any, ...], epoch: tf.Tensor) -> list[tf.Tensor]:
        """Return the sums of `_sums`, gone through in `accumulate_steps` parts, one by one."""
        import tensorflow as tf

        parts, rows = self._settings.accumulate_steps, tf.size(batch[1])

        def sums_between(low: Any, high: Any) -> Any:
            part = batch
            if parts > 1:
                part = tf.nest.map_structure(lambda array: array[low:high], batch)
            # Some kernels (convolutions, recurrent layers) can't work on no rows.
            return tf.cond(high > low, lambda: self._sums(part, epoch), self._sums_of_no_rows)

        if parts == 1:
            return list(sums_between(0, rows))

        def add(part: Any, sums: Any) -> tuple[Any, Any]:
            more = sums_between(rows * part // parts, rows * (part + 1) // parts)
            return part + 1, [one + other for one, other in zip(sums, more, strict=True)]

        _, sums = tf.while_loop(
            lambda part, _: part < parts,
            add,
            [tf.constant(0), self._sums_of_no_rows()],
            parallel_iterations=1,
        )
        return list(sums)

    def _sums(self, batch: tuple[Any, ...], epoch: tf.Tensor) -> list[tf.Tensor]:
        """Return what this rank's rows give: sums of gradients, then the vector of totals."""
        import tensorflow as tf

        from pipelines.training.models.layers import row_seeds

        settings = self._settings
        arrays, labels, weights = unpack(self.model, batch)
        rows = tf.reduce_sum(weights)
        means = label_sums(settings, labels, weights)
        if self._class_weights is not None:
            weights *= weight_of_class(self._class_weights, labels)
        weight = tf.reduce_sum(weights)
        with row_seeds(batch[0]["row"], settings.seed, epoch), tf.GradientTape() as tape:
            outputs = tf.cast(self.model(arrays, training=True), tf.float32)
            loss = tf.reduce_sum(weights * row_losses(settings, labels, outputs))
            penalties = self.model.losses
            # A penalty counts once in the mean: as often as there are rows in the sum.
            objective = loss + weight * tf.add_n(penalties) if penalties else loss
            scale = loss_scale(self.optimizer)
            if scale is not None:
                # Near the mean, or sums over many rows would overflow where means don't.
                objective *= scale / settings.batch_size
        gradients = tape.gradient(
            objective,
            [variable.value for variable in self.model.trainable_variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # That of an embedding may have lost its shape, which the sum over ranks asks for.
        dense = [
            tf.ensure_shape(tf.convert_to_tensor(gradient), variable.shape)
            for gradient, variable in zip(gradients, self.model.trainable_variables, strict=True)
        ]
        sums = [loss, weight, rows, tf.reduce_sum(bad_labels(settings, labels))]
        totals = tf.concat([tf.stack(sums), means], axis=0)
        return [*dense, totals]

    def _sums_of_no_rows(self) -> list[tf.Tensor]:
        import tensorflow as tf

        variables = self.model.trainable_variables
        return [
            *[tf.zeros(variable.shape) for variable in variables],
            tf.zeros([_LABELS + self._settings.outputs]),
        ]

    def _steps(self, iterator: Any, steps: tf.Tensor, epoch: tf.Tensor) -> Any:
        import tensorflow as tf

        def one(step: Any, values: Any, waited: Any, done: Any) -> tuple[Any, Any, Any, Any]:
            with tf.control_dependencies([done]):
                began = tf.timestamp()
            with tf.control_dependencies([began]):
                batch = next(iterator)
            with tf.control_dependencies([batch[1]]):
                ended = tf.timestamp()
            # The step hangs on the second look at the clock, or it might be taken after it.
            with tf.control_dependencies([ended]):
                batch = tf.nest.map_structure(tf.identity, batch)
            waited += ended - began
            sums = self.train_step(batch, epoch)
            return step + 1, values.write(step, sums), waited, sums[0]

        width = _LABELS + self._settings.outputs + 3
        values = tf.TensorArray(tf.float32, size=steps, element_shape=(width,))
        _, values, waited, _ = tf.while_loop(
            lambda step, *_: step < steps,
            one,
            [tf.constant(0), values, tf.constant(0.0, tf.float64), tf.constant(0.0)],
            parallel_iterations=1,
        )
        return values.stack(), waited
