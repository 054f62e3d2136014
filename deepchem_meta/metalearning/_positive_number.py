"""A number above 0 that is fixed, or meta-learned by its logarithm."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from deepchem_meta._checks import check_positive
from deepchem_meta.engine.learner_model import LearnerModel

__all__ = ["PositiveNumber"]


class PositiveNumber:
    """A number above 0 that is fixed, or meta-learned by its logarithm.

    Parameters
    ----------
    name : str
        For messages.
    value : float or None
        None for one that is learned.
    start : float
        Where a learned one starts.
    learner : MetaLearner
        Whose dtype it takes.

    Attributes
    ----------
    name : str
        As given.
    variables : list of tf.Variable
        What is learned, if anything: the logarithm.
    """

    def __init__(self, name: str, value: float | None, start: float, learner: Any):
        self.name = name
        self._dtype = LearnerModel.of(learner).float_dtype
        self._value = None if value is None else check_positive(name, value)
        log = tf.math.log(tf.constant(start, self._dtype))
        self.variables = [tf.Variable(log, name=f"log_{name}")] if value is None else []

    def tensor(self) -> tf.Tensor:
        """Return it as a scalar; under a `tf.GradientTape` the read is recorded."""
        if self.variables:
            return tf.exp(tf.convert_to_tensor(self.variables[0]))
        return tf.constant(self._value, self._dtype)

    def assign(self, value: float) -> None:
        """Set a learned one, to a number above 0."""
        self.variables[0].assign(math.log(value))

    def __float__(self) -> float:
        return float(self.tensor())
