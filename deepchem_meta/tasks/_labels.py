"""Labels of examples, such as their classes or groups: whole numbers or words."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from deepchem_meta.tasks._arguments import listed

__all__ = ["check_labels", "is_missing", "label_names"]


def check_labels(name: str, labels: Any, *, floats: bool = True) -> np.ndarray:
    """Return labels as an array of int64, bool or str.

    Parameters
    ----------
    name : str
        The argument, for messages.
    labels : array of shape (examples,)
        Integers, bools or strings.
    floats : bool, default True
        Whether bools, and floats that are whole numbers, are taken.

    Raises
    ------
    TypeError
        If labels are anything else, or masked.
    ValueError
        If a label is missing (None, NaN or a blank string), or a float is no whole number.
    """
    # NumPy makes strings of all that is in a list with a string: "nan" of NaN, and "3" of 3.
    plain = np.asarray(labels, object if isinstance(labels, (list, tuple)) else None)
    if isinstance(labels, np.ma.MaskedArray) or plain.ndim != 1:
        raise TypeError(
            f"`{name}` must be a one-dimensional array of integers or strings, without a mask. "
            f"Received: {type(labels).__name__} of shape {plain.shape}"
        )
    if plain.dtype.kind in "OUf":
        _check_present(name, plain)
    if plain.dtype.kind == "O":
        plain = _unboxed(plain)
    if plain.dtype.kind == "f" and floats:
        plain = _whole(name, plain)
    if plain.dtype.kind not in ("biuU" if floats else "iuU"):
        raise TypeError(
            f"`{name}` must be a one-dimensional array of integers or strings. "
            f"Received: dtype {plain.dtype} and shape {plain.shape}"
        )
    return plain


def label_names(values: np.ndarray) -> list[str]:
    """Return labels as text."""
    return [str(value) for value in values.tolist()]


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, the NA or NaT of pandas, or a blank string."""
    if isinstance(value, str):
        return not value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and bool(value != value)


def _check_present(name: str, labels: np.ndarray) -> None:
    missing = np.flatnonzero([is_missing(label) for label in labels])
    if missing.size:
        raise ValueError(
            f"`{name}` must have a label for each example. Received: {missing.size} of "
            f"{len(labels)} None, NaN or blank, at rows {listed(missing)}"
        )


def _unboxed(labels: np.ndarray) -> np.ndarray:
    """Return an array of objects as one of strings, bools, integers or floats, if it is that."""
    for kind, dtype in ((str, str), ((bool, np.bool_), bool), (numbers.Integral, np.int64)):
        if all(isinstance(label, kind) for label in labels):
            return np.array(labels.tolist(), dtype)
    if all(isinstance(label, numbers.Real) for label in labels):
        return labels.astype(np.float64)
    return labels


def _whole(name: str, labels: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((np.floor(labels) != labels) | (np.abs(labels) > 2**53))
    if wrong.size:
        raise ValueError(
            f"`{name}` must be whole numbers or strings. Received: {wrong.size} of {len(labels)} "
            f"others, such as {labels[wrong[0]]} at row {wrong[0]}"
        )
    return labels.astype(np.int64)
