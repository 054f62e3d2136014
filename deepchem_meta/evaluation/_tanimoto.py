"""The Tanimoto similarity of bits and counts."""

from __future__ import annotations

import numpy as np

__all__ = ["tanimoto"]

_ROWS = 64  # examples compared at once, so that memory stays small


def tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Return the Tanimoto similarity of examples: :math:`\sum \min / \sum \max`.

    Of bits it is the share of common ones. Two examples without any feature have 1.

    Parameters
    ----------
    a : array of shape (n, features)
        Bits or counts, or their logarithms, at least 0.
    b : array of shape (m, features)

    Returns
    -------
    float64 array of shape (n, m)
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    used = a.any(axis=0)  # where all of `a` is 0 so is the minimum
    totals = a.sum(axis=1)[:, np.newaxis] + b.sum(axis=1)
    a, b = a[:, used], b[:, used]
    common = np.empty(totals.shape)
    for start in range(0, len(b), _ROWS):
        rows = slice(start, start + _ROWS)
        for place, row in enumerate(a):
            common[place, rows] = np.minimum(row, b[rows]).sum(axis=1)
    union = totals - common
    return np.divide(common, union, out=np.ones_like(union), where=union > 0)
