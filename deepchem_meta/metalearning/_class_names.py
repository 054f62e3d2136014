"""Labels that are words."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["with_class_numbers"]


def with_class_numbers(batch: Any) -> tuple[Any, np.ndarray | None]:
    """Return a batch with the numbers of classes for labels that are words, and their names.

    Parameters
    ----------
    batch : object
        Whatever a user gives as ``(x, y)`` or ``(x, y, sample_weight)``; anything else, and labels
        that are no words, stay as they are.

    Returns
    -------
    batch : object
        With int32 labels of the shape of the words.
    names : array of str or None
        The sorted names; their places are the labels.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        return batch, None
    x, y, *weights = batch
    labels = _words(y)
    if labels is None:
        return batch, None
    names, numbers = np.unique(labels, return_inverse=True)
    return (x, numbers.reshape(labels.shape).astype(np.int32), *weights), names


def _words(y: Any) -> np.ndarray | None:
    """Return labels as an array of str if all of them are words, else None."""
    if isinstance(y, dict) or hasattr(y, "numpy"):
        return None
    if isinstance(y, np.ndarray) and y.dtype.kind not in "UO":
        return None
    try:
        labels = np.asarray(y, object)  # so that numbers among words stay numbers
    except ValueError:  # arrays of different shapes: several outputs' targets
        return None
    words = labels.size and all(isinstance(label, str) for label in labels.flat)
    return labels.astype(str) if words else None
