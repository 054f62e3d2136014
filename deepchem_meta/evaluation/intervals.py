"""Means and the intervals that they are known to."""

from __future__ import annotations

import numpy as np

__all__ = ["mean_and_interval"]

# Student's t for 95% (two-sided), by degrees of freedom from 1 to 28.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048,
)  # fmt: skip


def mean_and_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the mean over the first axis, and half the width of its 95% interval.

    .. math:: \bar x \pm t \, s / \sqrt n

    with :math:`t` = 1.96, or below 30 values Student's.

    Parameters
    ----------
    values : float array of shape (n, ...)
        Independent values.

    Returns
    -------
    mean, half_width : float64 arrays of shape (...)
        The half width is NaN for a single value.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan)
    t = _T95[n - 2] if n < 30 else 1.96
    with np.errstate(invalid="ignore", over="ignore"):  # a loss may be infinite
        return mean, t * values.std(axis=0, ddof=1) / np.sqrt(n)
