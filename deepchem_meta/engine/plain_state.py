"""Where sampling stands, as what JSON can hold."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

__all__ = ["decode", "encode"]


def encode(value: Any) -> Any:
    """Return `value` as what JSON can hold; tuples, bytes and arrays become marked dicts."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"A learner's state must not hold objects. Received: {value!r}")
        data = base64.b64encode(array.tobytes()).decode()
        return {"__array__": data, "dtype": array.dtype.str, "shape": array.shape}
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"__tuple__": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"A learner's state must have strings as keys. Received: {value!r}")
        return {key: encode(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        "A learner's state must be made of numbers, strings, bytes, NumPy arrays, lists, tuples "
        f"and dicts. Received: {value!r}"
    )


def decode(value: dict) -> Any:
    """Return what `encode` marked, as the hook of `json.loads` for objects."""
    if "__array__" in value:
        data = np.frombuffer(base64.b64decode(value["__array__"]), value["dtype"])
        return data.reshape(value["shape"]).copy()
    if "__bytes__" in value:
        return base64.b64decode(value["__bytes__"])
    return tuple(value["__tuple__"]) if "__tuple__" in value else value
