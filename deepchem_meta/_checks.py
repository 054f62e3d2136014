"""Checks of arguments at the boundary: the rule, the argument and what was received."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "check_absent",
    "check_classes",
    "check_count",
    "check_flag",
    "check_level",
    "check_option",
    "check_positive",
    "check_rates",
    "check_score_names",
    "check_seconds",
]


def check_absent(options: dict[str, Any], *names: str, reason: str) -> None:
    """Raise if one of `names` is among keyword arguments that are passed on.

    Raises
    ------
    TypeError
        With the reason.
    """
    for name in names:
        if name in options:
            raise TypeError(
                f"`{name}` must not be given: {reason}. Received: {name}={options[name]!r}"
            )


def check_classes(what: str, labels: np.ndarray, ways: int, ignored: int | None = None) -> None:
    """Raise ValueError unless labels are the numbers of classes, from 0 to `ways` - 1.

    Parameters
    ----------
    what : str
        What the labels are, for the message.
    labels : numpy.ndarray
        Of any shape and dtype.
    ways : int
        The number of classes.
    ignored : int, optional
        One more number that is allowed.

    Raises
    ------
    ValueError
        If a label is neither such a number nor `ignored`.
    """
    kind = labels.dtype.kind
    whole = kind in "iub" or (kind == "f" and bool((np.floor(labels) == labels).all()))
    if whole and labels.min() >= 0 and labels.max() < ways:
        return
    wrong = np.unique(labels)
    wrong = wrong[~np.isin(wrong, [*range(ways), *([] if ignored is None else [ignored])])]
    if wrong.size:
        raise ValueError(
            f"{what} must be the numbers of classes, from 0 to {ways - 1}. Received: y with the "
            f"values {wrong[:10]}. `np.unique(labels, return_inverse=True)[1]` makes numbers 0, 1, "
            "... of labels"
        )


def check_count(name: str, value: Any, *, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
    """Return `value` as an int, or say which whole number was wanted.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : int
        The value to check. NumPy integers are taken; booleans are not.
    minimum : int, default 0
        The smallest value allowed.
    maximum : int, default 2**63 - 1
        The largest.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If `value` is not a whole number.
    ValueError
        If it is below `minimum` or above `maximum`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an int of at least {minimum}. Received: {name}={value!r}"
        )
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}. Received: {name}={value!r}")
    if value > maximum:
        raise ValueError(f"`{name}` must be at most {maximum}. Received: {name}={value!r}")
    return int(value)


def check_seconds(name: str, value: Any) -> float:
    """Return `value` as a duration in seconds: a real number of at least 0, or infinity.

    Raises
    ------
    TypeError
        If `value` is not a real number.
    ValueError
        If it is negative or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number of seconds. Received: {name}={value!r}")
    if math.isnan(value) or value < 0:
        raise ValueError(f"`{name}` must be at least 0 seconds. Received: {name}={value!r}")
    return float(value)


def check_option(name: str, value: Any, options: tuple) -> Any:
    """Return `value` if it is one of `options`.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not any(type(value) is type(option) and value == option for option in options):
        raise ValueError(f"`{name}` must be one of {options}. Received: {name}={value!r}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a float: a finite number above 0.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is not finite, or not above 0.
    """
    message = f"`{name}` must be a finite number above 0. Received: {name}={value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(message)
    return float(value)


def check_level(name: str, value: Any) -> float:
    """Return `value` as a float: a finite number of at least 0.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is negative, infinite or NaN.
    """
    message = f"`{name}` must be a finite number of at least 0. Received: {name}={value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(message)
    return float(value)


def check_rates(base_rate: Any, classes: int) -> np.ndarray:
    """Return how often each class occurs, a float64 array of shape (classes,), or raise.

    Parameters
    ----------
    base_rate : float or array of shape (classes,)
        The rate of class 1 of two, or that of every class, above 0 with a sum of 1.
    classes : int
        How many classes there are.
    """
    try:
        rates = np.asarray(base_rate, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            "`base_rate` must be the rate of class 1, or the rates of all classes. "
            f"Received: base_rate={base_rate!r}"
        ) from None
    if rates.ndim == 0 and classes == 2:
        rates = np.stack([1.0 - rates, rates])
    if rates.shape != (classes,) or not (rates > 0).all() or abs(rates.sum() - 1) > 1e-6:
        one = "a number between 0 and 1, the rate of class 1, or " if classes == 2 else ""
        raise ValueError(
            f"`base_rate` must be {one}the rates of {classes} classes, above 0 with a sum of 1. "
            f"Received: base_rate={base_rate!r}"
        )
    return rates


def check_score_names(scores: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError if a score of a source has the name of the loss or of a metric."""
    twice = sorted(set(scores) & set(known))
    if twice:
        raise ValueError(
            "Scores of a source must have other names than the loss and the metrics of what is "
            f"evaluated. Received: {', '.join(twice)} twice"
        )
