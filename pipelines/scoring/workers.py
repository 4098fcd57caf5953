"""What runs in a Python worker of an executor: batches of model inputs to the model's outputs.

The model is loaded once per worker process and kept for its later tasks: importing TensorFlow and
loading cost seconds, a batch costs milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.encoding.images import EXPECTED, decode
from pipelines.errors import ScoringError
from pipelines.quiet import load_tensorflow

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import Broadcast

    from pipelines.reasons.explain import Explainer
    from pipelines.registry.bundle import Bundle

Array = npt.NDArray[Any]

OUTPUTS = "_outputs"
REASONS = ("_explanation", "_explanation_base", "_explanation_rest", "_explanation_residual")
"""What a row's reasons become: see `reasons.explain.Explained.rows`."""
_MODEL, _EXPLAINER = "model", "explainer"
_loaded: dict[str, Any] = {}
"""The compiled model by its key, the model itself, and its explainer once it was asked for."""


@dataclass(frozen=True)
class ScoredInput:
    """A model input: name, numpy type (`float32`, `int32`), kind and a row's shape."""

    name: str
    dtype: str
    kind: str = "numeric"
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Job:
    """What a worker does: columns it hands on, inputs it makes, rows it gives the model at once.

    `model_key` names the model by its content: two trainings may share a run id, not a key.
    """

    inputs: tuple[ScoredInput, ...]
    carried: tuple[str, ...]
    batch_size: int
    model_key: str
    explain: int | None = None
    """How many columns' reasons a row gets; None for none at all."""


def model_key(bundle: Bundle) -> str:
    """Return a name for the bundle's model, by its content: the code of its layers included."""
    code = bundle.code.digest if bundle.code else ""
    return hashlib.sha256(bundle.model + code.encode()).hexdigest()


def predictor(bundle: Bundle, key: str) -> Callable[[dict[str, Array]], Array]:
    """Return the bundle's compiled model, loading it when this process meets it first.

    The function takes inputs by name, each (rows, *shape), and returns float64 (rows, outputs).
    """
    if key not in _loaded:
        tf = load_tensorflow()
        model = bundle.load_model()
        # One compiled call for any number of rows; `predict` would add a loop around each batch.
        compiled = tf.function(model, reduce_retracing=True)

        def predict(inputs: dict[str, Array]) -> Array:
            tensors = {name: tf.constant(values) for name, values in inputs.items()}
            output: Array = compiled(tensors, training=False).numpy().astype(np.float64)
            return output

        _loaded.clear()
        _loaded[key] = predict
        _loaded[_MODEL] = model
    found: Callable[[dict[str, Array]], Array] = _loaded[key]
    return found


def explainer(bundle: Bundle, key: str) -> Explainer:
    """Return what explains the bundle's model, which `predictor` has loaded."""
    predictor(bundle, key)
    if _EXPLAINER not in _loaded:
        from pipelines.reasons.explain import Explainer

        _loaded[_EXPLAINER] = Explainer(bundle, _loaded[_MODEL])
    found: Explainer = _loaded[_EXPLAINER]
    return found


def score_batches(
    batches: Iterable[pa.RecordBatch], bundle: Broadcast[Bundle], job: Job
) -> Iterator[pa.RecordBatch]:
    """Add the column `_outputs` (lists) to the `carried` columns of each batch of model inputs.

    Where reasons are asked for, those of `REASONS` follow.
    """
    import pyarrow as pa

    for batch in batches:
        if batch.num_rows == 0:
            continue
        predict = predictor(bundle.value, job.model_key)
        parts, reasons = [], []
        for start in range(0, batch.num_rows, job.batch_size):
            part = batch.slice(start, job.batch_size)
            inputs = {one.name: _array(part, one, job) for one in job.inputs}
            parts.append(predict(inputs))
            if job.explain is not None:
                explained = explainer(bundle.value, job.model_key)(inputs)
                reasons += explained.rows(job.explain)
        outputs = np.concatenate(parts)
        ends = np.arange(len(outputs) + 1, dtype=np.int32) * outputs.shape[1]
        lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(outputs.ravel()))
        columns = [*(batch.column(name) for name in job.carried), lists]
        names = [*job.carried, OUTPUTS]
        if job.explain is not None:
            columns += _reasons(reasons)
            names += REASONS
        yield pa.RecordBatch.from_arrays(columns, names)


def _reasons(rows: list[dict[str, Any]]) -> list[pa.Array]:
    """Return the columns of `REASONS`."""
    import pyarrow as pa

    one = pa.struct([("column", pa.string()), ("contribution", pa.float64())])
    return [
        pa.array([row["contributions"] for row in rows], pa.list_(one)),
        *(
            pa.array([row[name] for row in rows], pa.float64())
            for name in ("base", "rest", "residual")
        ),
    ]


def _array(batch: pa.RecordBatch, one: ScoredInput, job: Job) -> Array:
    """Return a model input's column as (rows, *shape)."""
    column = batch.column(one.name)
    if one.kind == "image":
        return _images(batch, one, job)
    if one.shape:
        column = column.flatten()
    values: Array = column.to_numpy(zero_copy_only=False).astype(one.dtype)
    return values.reshape(-1, *one.shape)


def _images(batch: pa.RecordBatch, one: ScoredInput, job: Job) -> Array:
    import tensorflow as tf

    files = batch.column(one.name).to_numpy(zero_copy_only=False)
    if not len(files):
        return np.empty((0, *one.shape), np.float32)
    images, failed = decode(tf.constant(files), one.shape)
    bad = int(failed)
    if bad >= 0:
        row = ", ".join(
            f"{name.removeprefix('_key_')}={batch.column(name)[bad].as_py()}"
            for name in job.carried
        )
        raise ScoringError(
            f"the image '{one.name}' of the row {row} can't be decoded ({len(files[bad]):,} bytes, "
            f"beginning with {files[bad][:8]!r}); expected {EXPECTED}. Mend it at its source, or "
            "leave the row out in `featurize`."
        )
    decoded: Array = images.numpy()
    return decoded
