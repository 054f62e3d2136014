"""The rates of an inner loop: a number, a learned one, or a learned one for each variable."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import LearnerModel, as_variable
from deepchem_meta.metalearning._variables import choose_variables

__all__ = ["check_rate", "learned_rate", "rates_of_variables"]


def check_rate(value: Any) -> None:
    """Raise unless `value` is a finite scalar of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.ndarray, tf.Tensor)):
        raise TypeError(
            "`learning_rate` must be a number or a scalar tf.Variable. "
            f"Received: learning_rate={value!r}"
        )
    if np.ndim(value) != 0 or not np.isfinite(float(value)) or float(value) < 0:
        raise ValueError(
            "`learning_rate` must be a finite number of at least 0. "
            f"Received: learning_rate={value!r}"
        )


def learned_rate(value: Any, why_fixed: str | None) -> tf.Variable | None:
    """Return the variable that an inner loop's rate is, or None for a number.

    Parameters
    ----------
    value : float or tf.Variable
        The rate.
    why_fixed : str or None
        Why it must be a number, if it must.

    Raises
    ------
    TypeError, ValueError
        If it is neither a rate nor a variable that can be learned.
    """
    variable = as_variable(value)
    if variable is None:
        check_rate(value)
        return None
    if why_fixed:
        raise TypeError(
            f"`learning_rate` must be a number: {why_fixed}. Received: learning_rate={value!r}"
        )
    if variable.shape.rank != 0 or not variable.dtype.is_floating or not value.trainable:
        raise ValueError(
            "`learning_rate` must be a number, or a trainable floating-point variable that is "
            f"a scalar. Received: learning_rate={value!r}"
        )
    return variable


def rates_of_variables(
    learner: Any,
    adapt_variables: Any,
    start: float,
    make: Callable[[int, tf.Variable, tf.Tensor], tf.Variable],
    without: Collection[int] = (),
) -> dict[int, tf.Variable]:
    """Return a learned rate for each variable that adapts, by its place.

    Parameters
    ----------
    learner, adapt_variables
        As `MAML` takes them.
    start : float
        What the rates start from.
    make : callable
        ``(place, variable, start) -> tf.Variable``, with `start` in the variable's dtype.
    without : collection of int, default ()
        The places of variables that get none.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as `MAML` takes it.
    """
    adapts = choose_variables(learner, adapt_variables)
    return {
        place: make(place, variable, tf.constant(float(start), variable.dtype))
        for place, variable in enumerate(LearnerModel.of(learner).variables)
        if adapts[place] and place not in without
    }
