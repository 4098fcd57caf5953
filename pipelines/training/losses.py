"""Losses of rows, and which labels they can be asked about. All inside `tf.function`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.config.train import Train

if TYPE_CHECKING:
    import tensorflow as tf


def row_losses(settings: Train, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return the loss of each row, (rows,).

    `labels` (rows,) are float32, of classes their numbers. `outputs` (rows, outputs) are logits for
    the two cross-entropies, else values. A label that `bad_labels` tells of has some finite loss.
    """
    import tensorflow as tf

    if settings.task == "classes":
        places = tf.clip_by_value(tf.cast(labels, tf.int32), 0, settings.outputs - 1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(places, outputs)
    values = outputs[:, 0]
    if settings.task == "binary":
        return tf.nn.sigmoid_cross_entropy_with_logits(labels, values)
    error = tf.abs(labels - values)
    if settings.loss == "mae":
        return error
    if settings.loss == "mse":
        return tf.square(error)
    delta = settings.huber_delta
    return tf.where(error <= delta, 0.5 * tf.square(error), delta * (error - 0.5 * delta))


def bad_labels(settings: Train, labels: tf.Tensor) -> tf.Tensor:
    """Return 1.0 for each label outside `label_range`, else 0.0."""
    import tensorflow as tf

    is_good = tf.math.is_finite(labels)
    if settings.task == "binary":
        is_good = tf.equal(labels, 0.0) | tf.equal(labels, 1.0)
    elif settings.task == "classes":
        is_good = tf.equal(labels, tf.round(labels)) & (labels >= 0) & (labels < settings.outputs)
    return 1.0 - tf.cast(is_good, tf.float32)


def label_range(settings: Train) -> str:
    """Return which labels a loss takes, in words."""
    if settings.task == "binary":
        return "0 or 1"
    if settings.task == "classes":
        return f"whole numbers from 0 to {settings.outputs - 1} (`train.classes` - 1)"
    return "numbers"


def label_sums(settings: Train, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return (outputs,): the weighted sum of labels, or the weight of each class.

    Divided by the sum of weights that is what a constant guess would say.
    """
    import tensorflow as tf

    if settings.task == "classes":
        hot = tf.one_hot(tf.cast(labels, tf.int32), settings.outputs)
        return tf.reduce_sum(hot * weights[:, None], axis=0)
    return tf.reduce_sum(weights * labels)[None]


def weight_of_class(class_weights: Sequence[float], labels: tf.Tensor) -> tf.Tensor:
    """Return the weight (rows,) of each row's class."""
    import tensorflow as tf

    places = tf.clip_by_value(tf.cast(labels, tf.int32), 0, len(class_weights) - 1)
    return tf.gather(tf.constant(class_weights, tf.float32), places)
