"""Choices that fight each other: each is allowed, together they seldom give what was meant. Pure.

What can never work is refused where the settings are read; what is said here is a warning, told by
`validate` and again before a training begins.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.config.pipeline import Pipeline
from pipelines.config.threshold import DEFAULT, in_words, plain


def contradictions(pipeline: Pipeline) -> list[str]:
    """Return what fights each other in the settings, one sentence each with a way out."""
    return [*_class_weights(pipeline), *_losses(pipeline), *_threshold(pipeline)]


def _class_weights(pipeline: Pipeline) -> Iterator[str]:
    train, promote = pipeline.train, pipeline.promote
    if train.class_weights is None:
        return
    judges = [
        name
        for name, is_so in (
            (f"`promote.metric: {promote.metric}`", promote.metric == "log_loss"),
            ("`promote.beat_constant: true`", promote.beat_constant),
        )
        if is_so
    ]
    if judges:
        yield (
            f"`train.class_weights` makes the model say other rates than those observed, and "
            f"{' and '.join(judges)} judge it by log loss, which is about rates: a good model may "
            "be refused after its training. Set `promote.metric: roc_auc` and "
            "`promote.beat_constant: false`, or leave `class_weights` out and lower "
            "`score.threshold` instead"
        )
    if train.early_stopping is not None and train.early_stopping.monitor == "val_loss":
        other = "val_roc_auc" if train.task == "binary" else "val_accuracy"
        yield (
            "`train.class_weights` weighs the training loss, while "
            "`train.early_stopping.monitor: val_loss` watches an unweighted one: the training may "
            f"stop where it gets better. Watch `{other}`, or set `train.early_stopping: null`"
        )


def _losses(pipeline: Pipeline) -> Iterator[str]:
    loss, metric = pipeline.train.loss, pipeline.promote.metric
    if loss == "mae" and (metric in ("mse", "r2")):
        yield (
            f"`train.loss: mae` makes a model say the median, and `promote.metric: {metric}` "
            "judges it by squares, for which the mean is best. Take `promote.metric: mae`, or "
            "`train.loss: mse`"
        )
    if loss == "mse" and metric == "mae":
        yield (
            "`train.loss: mse` makes a model say the mean, and `promote.metric: mae` judges it by "
            "absolute errors, for which the median is best. Take `promote.metric: mse`, or "
            "`train.loss: mae`"
        )


def _threshold(pipeline: Pipeline) -> Iterator[str]:
    threshold, task = pipeline.score.threshold, pipeline.train.task
    if threshold != DEFAULT and task != "binary":
        yield (
            f"`score.threshold: {in_words(plain(threshold))}` does nothing with `train.loss: "
            f"{pipeline.train.loss}`: only a yes or no has one. Leave it out"
        )
