"""Plain values and arrays as bytes, for the way between ranks.

JSON and raw numbers: a stranger on the network who changes them changes values at worst, while
unpickling runs what they say.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

_ARRAY, _SCALAR = "__array__", "__scalar__"
_LENGTH = 8


def pack(value: Any) -> bytes:
    """Return a value as bytes: None, booleans, numbers, texts, arrays, lists and dicts of them.

    Tuples become lists. Raises TypeError for anything else, and for keys that are no texts.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    tree = _plain(value, arrays)
    kinds = [[_kind(one.dtype), list(one.shape)] for one in arrays]
    head = json.dumps([tree, kinds]).encode("utf-8")
    bodies = [np.ascontiguousarray(one).tobytes() for one in arrays]
    return b"".join([len(head).to_bytes(_LENGTH, "little"), head, *bodies])


def unpack(content: bytes) -> Any:
    """Return the value that `pack` was given. Arrays can be written to."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    tree, kinds = json.loads(content[_LENGTH:end])
    arrays = []
    for kind, shape in kinds:
        dtype = np.dtype(kind)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        part = np.frombuffer(content[end : end + size], dtype)
        arrays.append(part.reshape(shape).copy())
        end += size
    return _restored(tree, arrays)


def _plain(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects can't travel between ranks; expected numbers")
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        arrays.append(np.asarray(value))
        return {_SCALAR: len(arrays) - 1}
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key not in (_ARRAY, _SCALAR) for key in value):
            raise TypeError(f"the keys {list(value)} can't travel between ranks; expected texts")
        return {key: _plain(one, arrays) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, arrays) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} can't travel between ranks; expected plain values")


def _restored(tree: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(tree, list):
        return [_restored(one, arrays) for one in tree]
    if isinstance(tree, dict):
        if _ARRAY in tree:
            return arrays[tree[_ARRAY]]
        if _SCALAR in tree:
            return arrays[tree[_SCALAR]][()]
        return {key: _restored(one, arrays) for key, one in tree.items()}
    return tree


def _kind(dtype: np.dtype[Any]) -> str:
    # Of types that came to numpy later (bfloat16), only the name says which they are.
    return dtype.name if dtype.kind == "V" else dtype.str
