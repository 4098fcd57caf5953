"""The forms of requests and answers: our own, MLflow's scoring protocol, Open Inference Protocol 2.

Each form is turned into columns or rows as a predictor takes them, and its predictions into the
answer the form asks for. MLflow's is written down in "Deploy MLflow Model as a Local Inference
Server", the other in the protocol's `open_inference_rest.yaml`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.errors import PredictionError
from pipelines.serving.columns import RawColumn
from pipelines.serving.predictor import Predictions, plain

MLFLOW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_DATATYPES = {"boolean": "BOOL", "tinyint": "INT8", "smallint": "INT16", "int": "INT32"}
_DATATYPES |= {"bigint": "INT64", "float": "FP32", "double": "FP64", "decimal": "FP64"}


def parse_json(body: bytes, takes_nan: bool = False) -> Any:
    """Read strict JSON: no name twice in an object, and neither NaN nor Infinity.

    With `takes_nan` these are numbers: MLflow's own client writes a missing one as NaN.
    """

    def refuse(constant: str) -> Any:
        if takes_nan:
            return float(constant)
        raise PredictionError(f"{constant} is no JSON; a value that is not known is null.")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise PredictionError(f"the name {twice!r} stands twice in one object of the request.")
        return found

    try:
        return json.loads(body, parse_constant=refuse, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise PredictionError(f"the request's body is no JSON: {error}") from error


def own_rows(body: Any) -> list[Any]:
    """Return the rows of `{"rows": [{column: value, ...}, ...]}`."""
    if not isinstance(body, dict) or not isinstance(body.get("rows"), list):
        raise PredictionError('expected {"rows": [{column: value, ...}, ...]}.')
    rows: list[Any] = body["rows"]
    return rows


def asks_for_reasons(body: Any) -> tuple[bool, int | None]:
    """Return whether `explain` asks for reasons, and of how many columns: `true` is all of them."""
    asked = body.get("explain", False) if isinstance(body, dict) else False
    if isinstance(asked, bool):
        return asked, None
    if isinstance(asked, int) and asked >= 1:
        return True, asked
    raise PredictionError(
        f"`explain` is {asked!r}; expected true, false, or how many columns to tell of."
    )


def mlflow_data(body: Any) -> Any:
    """Return columns or rows of one of MLflow's four JSON forms; raise PredictionError else."""
    given = [form for form in MLFLOW_FORMS if isinstance(body, dict) and form in body]
    if len(given) != 1:
        raise PredictionError(
            f"expected an object with exactly one of {', '.join(MLFLOW_FORMS)}, "
            f"received {given or type(body).__name__}."
        )
    data = body[given[0]]
    if given[0] == "dataframe_split":
        return _split(data)
    if given[0] == "inputs":
        if not isinstance(data, dict):
            raise PredictionError("`inputs` must be {column: [value, ...], ...}.")
        return data
    if not isinstance(data, list):
        raise PredictionError(f"`{given[0]}` must be a list of rows, {{column: value, ...}} each.")
    return data


def _split(data: Any) -> dict[str, list[Any]]:
    names, rows = (
        (data.get(key) for key in ("columns", "data")) if isinstance(data, dict) else (0, 0)
    )
    if not isinstance(names, list) or not isinstance(rows, list):
        raise PredictionError('`dataframe_split` must be {"columns": [...], "data": [[...], ...]}.')
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise PredictionError(f"row {number}: expected {len(names)} values, one a column.")
    if len({str(name) for name in names}) < len(names):
        raise PredictionError("a name stands twice in `dataframe_split.columns`.")
    return {str(name): [row[place] for row in rows] for place, name in enumerate(names)}


def csv_data(body: bytes, columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """Return the rows of a CSV text with a header; an empty field is null."""
    try:
        lines = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise PredictionError(f"the request's body is no CSV in UTF-8: {error}") from error
    types = {column.name: column for column in columns}
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise PredictionError(f"row {number}: expected {len(lines.fieldnames or ())} fields.")
    return [{name: _of_text(value, types.get(name)) for name, value in row.items()} for row in rows]


def _of_text(text: str, column: RawColumn | None) -> Any:
    """Return a field's value; what is no value of its column stays a text, and is told later."""
    if text == "":
        return None
    if column is None or column.value_type in ("string", "date", "binary"):
        return text
    try:
        value = json.loads(text, parse_int=float)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def with_bytes(data: Any, columns: Sequence[RawColumn]) -> Any:
    """Return the same data, with the files of binary columns decoded from base64 texts."""
    names = [column.name for column in columns if column.value_type == "binary"]
    if not names:
        return data

    def decoded(row: Any, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise PredictionError(f"row {row}, column '{name}': the text is no base64.") from error

    if isinstance(data, Mapping):
        files = {
            name: [decoded(row, name, value) for row, value in enumerate(data[name])]
            for name in names
            if isinstance(data.get(name), list)
        }
        return {**data, **files}
    return [
        {**row, **{name: decoded(number, name, row[name]) for name in names if name in row}}
        if isinstance(row, Mapping)
        else row
        for number, row in enumerate(data)
    ]


def number_of_rows(data: Any) -> int:
    """Return how many rows a request holds."""
    if isinstance(data, Mapping):
        return max((len(values) for values in data.values() if isinstance(values, list)), default=0)
    return len(data)


# --- Open Inference Protocol 2 -------------------------------------------------------------------


def v2_data(body: Any, columns: Sequence[RawColumn] = ()) -> dict[str, list[Any]]:
    """Return the columns of an inference request; flat data is cut by its shape.

    Of `columns` those that hold no lists may come as [rows, 1] too.
    """
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list):
        raise PredictionError('expected {"inputs": [{"name", "shape", "datatype", "data"}, ...]}.')
    lists = {column.name for column in columns if column.is_list}
    found: dict[str, list[Any]] = {}
    for one in inputs:
        if not isinstance(one, dict) or not {"name", "shape", "data"} <= set(one):
            raise PredictionError("each of `inputs` has `name`, `shape`, `datatype` and `data`.")
        name, shape = str(one["name"]), one["shape"]
        if name in found:
            raise PredictionError(f"the input '{name}' is there twice.")
        if (
            not isinstance(shape, list)
            or not 1 <= len(shape) <= 2
            or not all(type(size) is int and size >= 0 for size in shape)
        ):
            raise PredictionError(f"input '{name}': expected `shape` [rows] or [rows, length].")
        found[name] = _shaped(name, shape, one["data"], name in lists)
    return found


def _shaped(name: str, shape: list[int], data: Any, is_list: bool) -> list[Any]:
    """Return a value for each row, from data that may be flat."""
    values: list[Any] = data if isinstance(data, list) else []
    flat = [
        value
        for row in values
        for value in (row if isinstance(row, list) and (len(shape) == 2) else [row])
    ]
    rows, length = shape[0], shape[1] if len(shape) == 2 else 1
    if not is_list and length == 1:
        values = flat
    elif len(values) != rows or (len(shape) == 2 and not all(isinstance(v, list) for v in values)):
        values = [flat[place * length : (place + 1) * length] for place in range(rows)]
    if len(values) != rows or (len(shape) == 2 and len(flat) != rows * length):
        raise PredictionError(f"input '{name}': `data` holds {len(flat)} values, `shape` {shape}.")
    return values


def v2_metadata(columns: Sequence[RawColumn]) -> list[dict[str, Any]]:
    """Return the model's inputs, as its metadata lists them."""
    return [
        {
            "name": column.name,
            "datatype": _DATATYPES.get(column.value_type, "BYTES"),
            "shape": [-1, -1] if column.is_list else [-1],
        }
        for column in columns
    ]


def v2_outputs(found: Predictions) -> list[dict[str, Any]]:
    """Return predictions as tensors, rows first."""
    named = {
        "prediction": found.prediction,
        "predicted_class": found.predicted_class,
        "predicted_label": found.predicted_label,
        "probabilities": found.probabilities,
    }
    return [_v2_output(name, values) for name, values in named.items() if values is not None]


def _v2_output(name: str, values: Any) -> dict[str, Any]:
    if isinstance(values, list):
        return {"name": name, "shape": [len(values)], "datatype": "BYTES", "data": values}
    return {
        "name": name,
        "shape": list(values.shape),
        "datatype": "INT64" if np.issubdtype(values.dtype, np.integer) else "FP64",
        "data": plain(values.ravel()),
    }
