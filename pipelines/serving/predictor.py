"""A bundle as one function: raw feature values in, predictions out.

It needs neither Spark nor a lake, and gives what batch scoring gives for the same raw values: the
bundle's feature spec, compiled to Keras, stands before the bundle's model in one compiled call.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pipelines.config.losses import Task
from pipelines.encoding.about import about_columns
from pipelines.encoding.spec import FeatureSpec
from pipelines.encoding.to_keras import to_keras
from pipelines.errors import PredictionError
from pipelines.serving.columns import RawColumn, by_column, encode, raw_columns

if TYPE_CHECKING:
    from pipelines.reasons.explain import Explainer
    from pipelines.registry.bundle import Bundle

Array = npt.NDArray[Any]

_AT_ONCE = 8192
"""Rows given to the model at once: it bounds how many images are held decoded."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows, in their order.

    `prediction` float64 (rows,): the probability of a yes, that of the likeliest class, or the
    number. `predicted_class` int64 (rows,): 0 or 1, or the class; None of numbers.
    `predicted_label` list of (rows,) texts: what people call that class; None of numbers.
    `probabilities` float64 (rows, classes): None unless there are several classes.
    """

    prediction: Array
    predicted_class: Array | None = None
    predicted_label: list[str] | None = None
    probabilities: Array | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return one mapping a row, with plain numbers."""
        named = {
            "prediction": self.prediction,
            "predicted_class": self.predicted_class,
            "predicted_label": self.predicted_label,
            "probabilities": self.probabilities,
        }
        there = {name: plain(values) for name, values in named.items() if values is not None}
        return [
            dict(zip(there, values, strict=True)) for values in zip(*there.values(), strict=True)
        ]


def plain(values: Any) -> list[Any]:
    """Return values as JSON has them: what is no number becomes None."""
    if isinstance(values, list):
        return values
    if values.ndim > 1:
        return [plain(row) for row in values]
    found: list[Any] = values.tolist()
    if np.isfinite(values).all():
        return found
    return [one if math.isfinite(one) else None for one in found]


def said(
    outputs: Array, task: Task, threshold: float = 0.5, names: Sequence[str] | None = None
) -> Predictions:
    """Return what a model's outputs (rows, outputs) say: `scoring.prediction_rows` without Spark.

    Of a yes or no: 1 from `threshold` on. Of classes: the likeliest, the first of equals. `names`
    are those of the classes from 0 on; without them a class is called by its number.
    """
    if task == "number":
        return Predictions(outputs[:, 0])
    if task == "binary":
        prediction, probabilities = outputs[:, 0], None
        predicted = (prediction >= threshold).astype(np.int64)
    else:
        prediction, probabilities = outputs.max(axis=1), outputs
        predicted = outputs.argmax(axis=1)
    labels = [names[one] if names else str(one) for one in predicted.tolist()]
    return Predictions(prediction, predicted, labels, probabilities)


@dataclass(frozen=True)
class Prepared:
    """Rows of one request: `arrays` as `columns.encode` makes them."""

    arrays: dict[str, Array]
    num_rows: int


class Predictor:
    """A bundle's model with its feature spec, compiled once; calls may come from several threads.

    >>> predictor = Predictor(load_bundle("lake/_models/flights_late/run-7"))  # doctest: +SKIP
    >>> predictor([{"distance": 2475.0, "carrier": "UA"}]).rows()  # doctest: +SKIP
    [{'prediction': 0.21, 'predicted_class': 0, 'predicted_label': 'on time'}]
    """

    def __init__(self, bundle: Bundle, threshold: float = 0.5) -> None:
        """Load the model.

        `threshold` is the probability from which a row counts as a yes, where a bundle of an older
        release says none of its own.
        """
        import tensorflow as tf

        spec = FeatureSpec.from_json(bundle.feature_spec)
        features, model = to_keras(spec), bundle.load_model()
        self.columns: list[RawColumn] = raw_columns(spec)
        """What a row has to have, in the order of the features."""
        self.about = about_columns(spec)
        """What training knew of each raw column, by name."""
        self.run_id = bundle.run_id
        self.threshold = bundle.decision_threshold or threshold
        self.task: Task = bundle.task
        self.class_names = bundle.class_names
        self._layers = (features, model)  # their tables live as long as they do
        self._encoded = tf.function(features, reduce_retracing=True)
        self._bundle, self._explainer = bundle, cast("Explainer | None", None)
        self._one_at_a_time = threading.Lock()
        self._compiled = tf.function(
            lambda raw: model(features(raw), training=False), reduce_retracing=True
        )

    def __call__(self, data: Any) -> Predictions:
        """Predict rows: mappings by name, columns by name, a pandas DataFrame or an Arrow table.

        Columns that the model doesn't know are passed over. Raises PredictionError where one that
        it needs is missing, or a value is not of its column's type.
        """
        (found,) = self.answer([self.prepare(data)])
        return found

    def prepare(self, data: Any) -> Prepared:
        """Return rows, in any of those forms, as `answer` takes them; raises what a call raises."""
        columns, num_rows = by_column(data, self.columns)
        return Prepared(encode(columns, self.columns), num_rows)

    def answer(self, parts: Sequence[Prepared]) -> list[Predictions]:
        """Predict the rows of several requests at once; an image that is none is refused here."""
        arrays = joined([one.arrays for one in parts])
        ends = np.cumsum([0, *(one.num_rows for one in parts)])
        found = [self._outputs(arrays, start) for start in range(0, int(ends[-1]), _AT_ONCE)]
        width = len(self.class_names or "1") if self.task == "classes" else 1
        outputs = np.concatenate(found) if found else np.empty((0, width))
        return [
            said(outputs[start:end], self.task, self.threshold, self.class_names)
            for start, end in itertools.pairwise(ends)
        ]

    def explain(self, data: Any, top: int | None = None) -> list[dict[str, Any]]:
        """Return the reasons of each row: see `reasons.explain.Explained.rows`.

        `top` columns are told of each, all of them by default. Raises PredictionError as a call.
        """
        rows, explainer = self.prepare(data), self._explainer_once()
        found: list[dict[str, Any]] = []
        for start in range(0, rows.num_rows, _AT_ONCE):
            tensors = _tensors(rows.arrays, start)
            inputs = self._told(start, functools.partial(self._encoded, tensors))
            arrays = {name: value.numpy() for name, value in inputs.items()}
            found += explainer(arrays).rows(top)
        return found

    def _explainer_once(self) -> Explainer:
        from pipelines.reasons.explain import Explainer

        with self._one_at_a_time:
            if self._explainer is None:
                self._explainer = Explainer(self._bundle, self._layers[1])
        return self._explainer

    def warm_up(self) -> None:
        """Predict a row without any value, so that the first request waits for no compilation."""
        if not any(column.value_type == "binary" for column in self.columns):
            self([dict.fromkeys([column.name for column in self.columns])] * 2)

    def _outputs(self, arrays: dict[str, Array], start: int) -> Array:
        tensors = _tensors(arrays, start)
        outputs = self._told(start, functools.partial(self._compiled, tensors))
        found: Array = outputs.numpy().astype(np.float64)
        return found

    def _told(self, start: int, compute: Callable[[], Any]) -> Any:
        """Return what is computed of rows from `start` on; a bad image is a PredictionError."""
        import tensorflow as tf

        try:
            return compute()
        except tf.errors.InvalidArgumentError as error:
            # The decoder of images says which of the rows it was given.
            told = re.search(
                r"image `([^`]*)` is not decodable, (.*); number of the row", str(error)
            )
            if told is None:
                raise
            bad = re.search(r"(?s)number of the row.*?(\d+)\]?\s", str(error))
            row = f"row {start + int(bad[1])}, " if bad else ""
            raise PredictionError(
                f"{row}the image `{told[1]}` is not decodable, {told[2]}."
            ) from error


def joined(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Return arrays of several requests below each other; lists are padded to the longest."""
    if len(parts) == 1:
        return parts[0]
    found = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if arrays[0].ndim == 2:
            longest = max(array.shape[1] for array in arrays)
            filler = b"" if arrays[0].dtype == object else 0
            arrays = [
                np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=filler)
                for one in arrays
            ]
        found[name] = np.concatenate(arrays)
    return found


def _tensors(arrays: dict[str, Array], start: int) -> dict[str, Any]:
    import tensorflow as tf

    return {
        name: tf.constant(
            values[start : start + _AT_ONCE], tf.string if values.dtype == object else None
        )
        for name, values in arrays.items()
    }
