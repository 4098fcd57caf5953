"""What runs in a Python worker of an executor: batches of model inputs to probabilities.

The model is loaded once per worker process and kept for its later tasks: importing TensorFlow and
loading cost seconds, a batch costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import Broadcast

    from pipelines.registry.bundle import Bundle

Array = npt.NDArray[Any]

_loaded: dict[str, Any] = {}


@dataclass(frozen=True)
class ScoredInput:
    """A model input by name, with its numpy type (`float32`, `int32`)."""

    name: str
    dtype: str


def predictor(bundle: Bundle) -> Callable[[dict[str, Array]], Array]:
    """Return the bundle's compiled model, loading it when this process meets it first.

    The function takes inputs by name, each (rows,), and returns float64 (rows, outputs).
    """
    if bundle.run_id not in _loaded:
        import tensorflow as tf

        model = bundle.load_model()
        # One compiled call for any number of rows; `predict` would add a loop around each batch.
        compiled = tf.function(model, reduce_retracing=True)

        def predict(inputs: dict[str, Array]) -> Array:
            tensors = {name: tf.constant(values) for name, values in inputs.items()}
            output: Array = compiled(tensors, training=False).numpy().astype(np.float64)
            return output

        _loaded.clear()
        _loaded[bundle.run_id] = predict
    found: Callable[[dict[str, Array]], Array] = _loaded[bundle.run_id]
    return found


def score_batches(
    batches: Iterable[pa.RecordBatch],
    bundle: Broadcast[Bundle],
    inputs: list[ScoredInput],
    carried: list[str],
    batch_size: int,
) -> Iterator[pa.RecordBatch]:
    """Add the column `prediction` to the `carried` columns of each batch of model inputs."""
    import pyarrow as pa

    for batch in batches:
        if batch.num_rows == 0:
            continue
        predict = predictor(bundle.value)
        arrays = {
            one.name: batch.column(one.name).to_numpy(zero_copy_only=False).astype(one.dtype)
            for one in inputs
        }
        parts = [
            predict({name: values[start : start + batch_size] for name, values in arrays.items()})
            for start in range(0, batch.num_rows, batch_size)
        ]
        prediction = np.concatenate(parts)[:, 0]
        columns = [batch.column(name) for name in carried]
        yield pa.RecordBatch.from_arrays([*columns, pa.array(prediction)], [*carried, "prediction"])
