"""Checks of arguments that task sources share."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count

__all__ = [
    "check_draw",
    "check_finite",
    "check_range",
    "held_out",
    "listed",
]


def check_draw(n: Any, rng: Any) -> int:
    """Return `n`, the number of tasks to draw, if `rng` is a generator to draw them with.

    Raises
    ------
    TypeError
        If `n` is not a whole number, or `rng` not a `numpy.random.Generator`.
    ValueError
        If `n` is below 1.
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "`rng` must be a numpy.random.Generator, such as np.random.default_rng(0). "
            f"Received: rng={rng!r}"
        )
    return check_count("n", n, minimum=1)


def check_finite(x: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Raise if some of `x` is NaN or infinite.

    Parameters
    ----------
    x : array of shape (examples, ...)
    rows : int array of shape (examples,), optional
        The examples' numbers for the message, by default 0, 1, ...

    Raises
    ------
    ValueError
        With the numbers of the first such examples.
    """
    # A minimum or maximum is NaN if any value is, and unlike np.isfinite(x) needs no memory.
    if x.dtype.kind != "f" or not x.size or np.isfinite([x.min(), x.max()]).all():
        return
    wrong = np.flatnonzero([not np.isfinite(example).all() for example in x])
    raise ValueError(
        f"`x` must have no NaN or infinite values. Received: {wrong.size} of {len(x)} examples "
        f"with some, at rows {listed(wrong if rows is None else rows[wrong])}"
    )


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Return `value` as (low, high), two finite numbers with low at most high.

    Raises
    ------
    TypeError
        If it is not a pair of real numbers.
    ValueError
        If a number is not finite, or the first above the second.
    """
    message = (
        f"`{name}` must be a pair (low, high) of finite numbers, low at most high. "
        f"Received: {name}={value!r}"
    )
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise TypeError(message)
    if any(isinstance(end, bool) or not isinstance(end, numbers.Real) for end in value):
        raise TypeError(message)
    low, high = map(float, value)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(message)
    return low, high


def held_out(test: Any, total: int, what: str) -> int:
    """Return how many of `total` things the fraction or number `test` holds out.

    Parameters
    ----------
    test : float or int
        A float is a fraction, rounded to whole things, at least 1; an int is their number.
    total : int
        How many there are.
    what : str
        What they are, for the message.

    Raises
    ------
    TypeError
        If `test` is not a number.
    ValueError
        If nothing would be left to train on, or nothing to test on.
    """
    message = (
        f"`test` must be a list of {what}, a fraction of them above 0 and below 1, or their "
        f"number, and leave at least one of {total} to either part. Received: test={test!r}"
    )
    if isinstance(test, bool) or not isinstance(test, numbers.Real):
        raise TypeError(message)
    if isinstance(test, numbers.Integral):
        count = int(test)
    else:
        count = max(1, round(test * total)) if 0 < test < 1 else 0
    if not 0 < count < total:
        raise ValueError(message)
    return count


def listed(items: Iterable[Any], limit: int = 5) -> str:
    """Return the first of some items as text, and say how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(map(str, items[:limit])) + more
