"""Update rules of the inner loop, which the meta-gradient goes through."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deepchem_meta._checks import check_positive
from deepchem_meta.engine.optimizer import accumulation_dtype

__all__ = ["Adam", "GradientDescent", "InnerOptimizer", "Momentum"]


class InnerOptimizer:
    """A rule that turns the gradients of a step of adaptation into its direction.

    A subclass is pure: what it remembers from step to step is in its slots, not in itself. The
    values then move by minus the learning rate times the direction.
    """

    def start(self, values: Sequence[tf.Tensor]) -> Any:
        """Return the slots before the first step, for the values that adapt."""
        return ()

    def direction(
        self, gradients: Sequence[tf.Tensor], slots: Any, step: int
    ) -> tuple[list[tf.Tensor], Any]:
        """Return the direction of a step, and the slots after it.

        Parameters
        ----------
        gradients : list of tf.Tensor
            Of the support loss by the values that adapt.
        slots : nested structure of tf.Tensor
            As `start` or the step before left them.
        step : int or int32 scalar
            From 0 on.

        Returns
        -------
        directions : list of tf.Tensor
            As many as gradients, of the same shapes and dtypes.
        slots : nested structure of tf.Tensor
        """
        raise NotImplementedError("Subclasses of InnerOptimizer must implement direction.")


class GradientDescent(InnerOptimizer):
    r"""Plain gradient descent: :math:`d_k = g_k`."""

    def direction(
        self, gradients: Sequence[tf.Tensor], slots: Any, step: int
    ) -> tuple[list[tf.Tensor], Any]:
        """Return the gradients."""
        return list(gradients), slots


class Momentum(InnerOptimizer):
    r"""Gradient descent with momentum: :math:`d_k = \mu d_{k-1} + g_k`.

    Parameters
    ----------
    momentum : float, default 0.9
        :math:`\mu`, from 0 to below 1.
    """

    def __init__(self, momentum: float = 0.9):
        self.momentum = _check_decay("momentum", momentum)

    def start(self, values: Sequence[tf.Tensor]) -> Any:
        """Return zeros."""
        return [tf.zeros_like(value) for value in values]

    def direction(
        self, gradients: Sequence[tf.Tensor], slots: Any, step: int
    ) -> tuple[list[tf.Tensor], Any]:
        """Return the sum of the gradients so far, each multiplied by the momentum at each step."""
        velocity = [self.momentum * v + g for v, g in zip(slots, gradients, strict=True)]
        return velocity, velocity


class Adam(InnerOptimizer):
    r"""Adam, with epsilon inside the root, where its derivative is finite at gradient 0.

    The moments are float32 for 16-bit values, in which :math:`\beta_2` would be 1.

    .. math::

        m_k &= \beta_1 m_{k-1} + (1 - \beta_1) g_k \\
        v_k &= \beta_2 v_{k-1} + (1 - \beta_2) g_k^2 \\
        d_k &= \frac{m_k}{1 - \beta_1^k} \Big/ \sqrt{\frac{v_k}{1 - \beta_2^k} + \epsilon}

    Parameters
    ----------
    beta_1 : float, default 0.9
        Decay of the first moment; Reptile's paper takes 0.
    beta_2 : float, default 0.999
        Decay of the second moment.
    epsilon : float, default 1e-8
        Larger than 0. Gradients well below its root, 1e-4, are followed in proportion. With 1e-16,
        which is Adam's usual 1e-8 outside the root, the direction is all but the sign of a small
        gradient, and its derivative there, :math:`1/\sqrt\epsilon`, is 1e8.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
    https://arxiv.org/abs/1412.6980
    """

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8):
        self.beta_1 = _check_decay("beta_1", beta_1)
        self.beta_2 = _check_decay("beta_2", beta_2)
        self.epsilon = check_positive("epsilon", epsilon)

    def start(self, values: Sequence[tf.Tensor]) -> Any:
        """Return zeros for both moments."""
        zeros = [tf.zeros_like(_widen(value)) for value in values]
        return [(zero, zero) for zero in zeros]

    def direction(
        self, gradients: Sequence[tf.Tensor], slots: Any, step: int
    ) -> tuple[list[tf.Tensor], Any]:
        """Return the mean of the gradients over the root of that of their squares."""
        b1, b2 = self.beta_1, self.beta_2
        slots = [
            (b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2)
            for (m, v), g in zip(slots, map(_widen, gradients), strict=True)
        ]

        def unbiased(moment, beta):
            count = tf.cast(step + 1, moment.dtype)
            return moment / (1 - tf.constant(beta, moment.dtype) ** count)

        directions = [
            tf.cast(unbiased(m, b1) / tf.sqrt(unbiased(v, b2) + self.epsilon), g.dtype)
            for (m, v), g in zip(slots, gradients, strict=True)
        ]
        return directions, slots


def _widen(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, accumulation_dtype(value))


def _check_decay(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    if not 0 <= value < 1:
        raise ValueError(f"`{name}` must be from 0 to below 1. Received: {name}={value!r}")
    return float(value)
