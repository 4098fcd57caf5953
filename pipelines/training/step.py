"""Training steps, compiled: gradients of the global batch on every rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.training.collective import Collective

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Steps:
    """What some steps in a row gave: one value a step, but for `waited`."""

    loss: Array
    """Mean loss of the global batch, without penalties of the model."""
    weight: Array
    """Sum of weights (rows) of the global batch."""
    labels: Array
    """Weighted sum of its labels."""
    gradient: Array
    """Norm of its gradient, before any clipping. It is no number where a layer hid such a loss
    (ReLU makes 0 of NaN)."""
    waited: float
    """Seconds this rank waited for rows."""


def row_losses(loss: str, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return the loss of each row; `outputs` (rows,) are logits for `binary_crossentropy`."""
    import tensorflow as tf

    if loss == "mse":
        return tf.square(labels - outputs)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs)


def unpack(model: keras.Model, batch: tuple[Any, ...]) -> tuple[dict[str, Any], Any, Any]:
    """Return the model's arrays, labels and weights of an element of the feed."""
    import tensorflow as tf

    x, labels = batch[0], batch[1]
    weights = batch[2] if len(batch) > 2 else tf.ones_like(labels)
    return {name: x[name] for name in input_names(model)}, labels, weights


def input_names(model: keras.Model) -> list[str]:
    """Return which of the feed's arrays a model takes."""
    return [tensor.name for tensor in model.inputs]


class Stepper:
    """Runs steps of one model on this rank, in step with the others."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: str,
        collective: Collective,
        seed: int,
    ) -> None:
        import tensorflow as tf

        self.model = model
        self.optimizer = optimizer
        self._loss = loss
        self._collective = collective
        self._seed = seed
        optimizer.build(model.trainable_variables)
        # Many steps a call: what Python does between them is not paid for each of them.
        self._run: Callable[..., Any] = tf.function(self._steps, autograph=False)

    def run(self, iterator: Any, steps: int, epoch: int) -> Steps:
        """Take `steps` steps with the next elements of the feed."""
        import tensorflow as tf

        values, waited = self._run(iterator, tf.constant(steps), tf.constant(epoch))
        loss, weight, labels, gradient = values.numpy().astype(np.float64).T
        return Steps(loss / weight, weight, labels, gradient, float(waited))

    def train_step(self, batch: tuple[Any, ...], epoch: tf.Tensor) -> tf.Tensor:
        """Move the weights by one global batch.

        Return its sums of losses, weights and labels, and the norm of its gradient.

        Each rank sums the gradients of its rows. The sum over ranks, divided by the global sum of
        weights, is the gradient of the mean over the global batch, however its rows are spread: a
        rank may have none of them.
        """
        import tensorflow as tf

        from pipelines.training.models.layers import row_seeds

        arrays, labels, weights = unpack(self.model, batch)
        variables = self.model.trainable_variables
        weight = tf.reduce_sum(weights)
        with row_seeds(batch[0]["row"], self._seed, epoch), tf.GradientTape() as tape:
            outputs = self.model(arrays, training=True)[:, 0]
            loss = tf.reduce_sum(weights * row_losses(self._loss, labels, outputs))
            penalties = self.model.losses
            # A penalty counts once in the mean: as often as there are rows in the sum.
            objective = loss + weight * tf.add_n(penalties) if penalties else loss
        gradients = tape.gradient(
            objective,
            [variable.value for variable in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        sums = [loss, weight, tf.reduce_sum(weights * labels)]
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        summed = self._collective.sum([*dense, *sums])
        totals = summed[len(dense) :]
        mean = [gradient / totals[1] for gradient in summed[: len(dense)]]
        self.optimizer.apply(mean, variables)
        return tf.stack([*totals, tf.linalg.global_norm(mean)])

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

        values = tf.TensorArray(tf.float32, size=steps, element_shape=(4,))
        _, values, waited, _ = tf.while_loop(
            lambda step, *_: step < steps,
            one,
            [tf.constant(0), values, tf.constant(0.0, tf.float64), tf.constant(0.0)],
            parallel_iterations=1,
        )
        return values.stack(), waited
