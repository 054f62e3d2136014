"""Stacks tasks of different size, the missing examples having weight 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count

__all__ = ["flatten", "map_structure", "pad_rows", "pad_tasks"]


def pad_tasks(batches: Sequence[tuple], *, size: int | None = None) -> tuple[Any, Any, np.ndarray]:
    """Stack batches of several tasks, which may have different numbers of examples.

    A shorter batch is filled up with copies of its first example, whose sample weight is 0. So
    what is filled in is valid (class numbers, token numbers) and finite, and adds nothing to a
    loss that is weighted as Keras weights it.

    Parameters
    ----------
    batches : sequence of tuples
        For each task ``(x, y)`` or ``(x, y, sample_weight)``. x and y are arrays, or dicts,
        tuples and lists of arrays (nested, if need be), of the same structure in all tasks and
        of shape (examples, ...); sample_weight has shape (examples,), default ones.
    size : int, optional
        Examples of each task in the result. By default, those of the largest.

    Returns
    -------
    x, y : arrays of shape (tasks, size, ...)
        In the structure of the first task.
    sample_weight : float32 array of shape (tasks, size)

    Raises
    ------
    TypeError
        If a batch is no such tuple, or has another structure than the first.
    ValueError
        If there is no batch, a batch has no examples, its arrays have different numbers of them,
        arrays of two tasks do not fit one another, or `size` is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import pad_tasks
    >>> small = (np.array([[1.0], [2.0]]), np.array([0, 1]))
    >>> large = (np.array([[3.0], [4.0], [5.0]]), np.array([1, 0, 1]))
    >>> x, y, sample_weight = pad_tasks([small, large])
    >>> y
    array([[0, 1, 0],
           [1, 0, 1]])
    >>> sample_weight
    array([[1., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """
    batches = [_complete(batch, f"batches[{i}]") for i, batch in enumerate(batches)]
    if not batches:
        raise ValueError("`batches` must hold at least one task. Received: none")
    largest = max(len(weight) for _, _, weight in batches)
    size = largest if size is None else check_count("size", size, minimum=1)
    if size < largest:
        raise ValueError(
            f"`size` must be at least the examples of the largest task, {largest}. "
            f"Received: size={size}"
        )
    x, y, weight = map_structure(lambda *arrays: pad_rows(arrays, size), *batches)
    for i, (_, _, ones) in enumerate(batches):
        weight[i, len(ones) :] = 0.0
    return x, y, weight


def pad_rows(arrays: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Stack arrays, each with its first row repeated until it has `size` rows.

    Raises
    ------
    ValueError
        If they differ in the shape of a row.
    """
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            "Arrays of different tasks must have the same shape except for the number of examples. "
            f"Received: examples of shapes {sorted(shapes)}"
        )
    stacked = np.empty((len(arrays), size, *shapes.pop()), np.result_type(*arrays))
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
        row[len(array) :] = array[0]
    return stacked


def map_structure(function: Callable, first: Any, *others: Any) -> Any:
    """Call `function` with the leaves of some structures that lie at the same place.

    Raises
    ------
    TypeError
        If a structure differs from the first.
    """
    keys = _keys(first)
    for other in others:
        if _keys(other) != keys:
            raise TypeError(
                "All tasks must have the structure of the first. "
                f"Received: {_describe(first)} and {_describe(other)}"
            )
    if keys is None:
        return function(first, *others)
    parts = [map_structure(function, first[k], *(other[k] for other in others)) for k in keys]
    if isinstance(first, dict):
        return dict(zip(keys, parts, strict=True))
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of a structure."""
    leaves: list[Any] = []
    map_structure(leaves.append, structure)
    return leaves


def _complete(batch: Any, name: str) -> tuple[Any, Any, np.ndarray]:
    """Return a batch as NumPy arrays with sample weights, or say what is wrong with it."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        raise TypeError(
            f"A batch must be (x, y) or (x, y, sample_weight). Received: {name}={_describe(batch)}"
        )
    x, y = (map_structure(np.asarray, part) for part in batch[:2])
    arrays = flatten((x, y))
    if not arrays:
        raise TypeError(f"A batch must hold arrays. Received: {name}={_describe(batch)}")
    ones = np.ones(arrays[0].shape[:1], np.float32)
    weight = np.array(batch[2], np.float32) if len(batch) == 3 else ones
    if not ones.size or ones.ndim == 0 or {array.shape[:1] for array in arrays} != {weight.shape}:
        raise ValueError(
            "The arrays of a batch must have the same number of examples, at least 1, as first "
            "axis, and sample weights one number each. Received: shapes "
            f"{[array.shape for array in (*arrays, weight)]} in {name}"
        )
    return x, y, weight


def _keys(structure: Any) -> list | None:
    """Return what the parts of a structure are indexed by, or None if it is a leaf."""
    if isinstance(structure, dict):
        return sorted(structure)
    return list(range(len(structure))) if isinstance(structure, (tuple, list)) else None


def _describe(structure: Any) -> str:
    """Return a structure as text, with a word for each leaf."""
    if isinstance(structure, dict):
        parts = (f"{key!r}: {_describe(structure[key])}" for key in sorted(structure))
        return f"{{{', '.join(parts)}}}"
    if isinstance(structure, (tuple, list)):
        return f"({', '.join(map(_describe, structure))})"
    shape = getattr(structure, "shape", None)
    return type(structure).__name__ if shape is None else f"array of shape {tuple(shape)}"
