"""Learning rates that change from step to step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta._checks import check_flag, check_option
from deepchem_meta.models.optimizers._keras_schedules import TensorSchedule
from deepchem_meta.models.optimizers._settings import (
    Settings,
    check_number,
    check_steps,
)

__all__ = [
    "ExponentialDecay",
    "LambdaLRWithWarmup",
    "LearningRateSchedule",
    "LinearCosineDecay",
    "PiecewiseConstantSchedule",
    "PolynomialDecay",
]

_registered = keras.saving.register_keras_serializable(package="deepchem_meta")


class LearningRateSchedule(Settings):
    """Base of the schedules: a learning rate as a function of the step.

    A subclass implements `_create_tf_tensor` or `_create_keras_schedule`; each follows from the
    other. The step is a count from 0 of the optimizer's own, so rates advance with training.

    Examples
    --------
    >>> import tensorflow as tf
    >>> class InverseTime(LearningRateSchedule):
    ...     def __init__(self, initial_rate):
    ...         self.initial_rate = initial_rate
    ...
    ...     def _create_tf_tensor(self, global_step):
    ...         return self.initial_rate / (1 + tf.cast(global_step, tf.float32))
    >>> keras_schedule = InverseTime(0.5)._create_keras_schedule()
    >>> [float(keras_schedule(step)) for step in (0, 1, 4)]
    [0.5, 0.25, 0.1]
    """

    def _create_tf_tensor(self, global_step: Any) -> tf.Tensor:
        """Return the learning rate at a step.

        Parameters
        ----------
        global_step : int, scalar tf.Tensor or tf.Variable
            The steps taken so far.

        Returns
        -------
        scalar tf.Tensor of dtype float32

        Raises
        ------
        NotImplementedError
            If the subclass implements no rate.
        """
        if type(self)._create_keras_schedule is LearningRateSchedule._create_keras_schedule:
            raise NotImplementedError(
                f"{type(self).__name__} must implement `_create_tf_tensor(global_step)`, which "
                "returns the learning rate at a step."
            )
        return tf.cast(self._create_keras_schedule()(global_step), tf.float32)

    def _create_keras_schedule(self) -> keras.optimizers.schedules.LearningRateSchedule:
        """Return the schedule as one of Keras, which can be saved and loaded by Keras.

        Returns
        -------
        keras.optimizers.schedules.LearningRateSchedule
        """
        return TensorSchedule(self)


class ExponentialDecay(LearningRateSchedule):
    r"""A rate that is multiplied by a constant every so many steps.

    .. math:: \alpha_s = \alpha_0 \, d^{\lfloor s / n \rfloor}
              \quad\text{or, without the staircase,}\quad \alpha_0 \, d^{s / n}.

    Parameters
    ----------
    initial_rate : float
        The rate :math:`\alpha_0` at step 0, at least 0.
    decay_rate : float
        The factor :math:`d`, at least 0.
    decay_steps : int
        The number of steps :math:`n` in which the rate changes by that factor, at least 1.
    staircase : bool, default True
        Whether the rate changes all at once every `decay_steps` steps, or a little at every step.

    Examples
    --------
    >>> schedule = ExponentialDecay(initial_rate=0.8, decay_rate=0.5, decay_steps=100)
    >>> [float(schedule._create_tf_tensor(step)) for step in (0, 99, 100, 200)]
    [0.8, 0.8, 0.4, 0.2]
    """

    def __init__(
        self, initial_rate: float, decay_rate: float, decay_steps: int, staircase: bool = True
    ):
        self.initial_rate = check_number("initial_rate", initial_rate, minimum=0)
        self.decay_rate = check_number("decay_rate", decay_rate, minimum=0)
        self.decay_steps = check_steps("decay_steps", decay_steps, minimum=1)
        self.staircase = check_flag("staircase", staircase)

    def _create_keras_schedule(self) -> keras.optimizers.schedules.ExponentialDecay:
        """Return `keras.optimizers.schedules.ExponentialDecay` with these settings."""
        return keras.optimizers.schedules.ExponentialDecay(
            self.initial_rate, self.decay_steps, self.decay_rate, staircase=self.staircase
        )


class PolynomialDecay(LearningRateSchedule):
    r"""A rate that goes to a final value over a number of steps, and stays there.

    .. math:: \alpha_s = \alpha_n + (\alpha_0 - \alpha_n) \, (1 - \min(s / n, 1))^p.

    Parameters
    ----------
    initial_rate : float
        The rate :math:`\alpha_0` at step 0, at least 0.
    final_rate : float
        The rate :math:`\alpha_n` from step `decay_steps` on, at least 0.
    decay_steps : int
        The number of steps :math:`n`, at least 1.
    power : float, default 1.0
        The exponent :math:`p`, at least 0; with 1 the rate is a straight line.

    Examples
    --------
    >>> schedule = PolynomialDecay(initial_rate=0.5, final_rate=0.1, decay_steps=100)
    >>> [float(schedule._create_tf_tensor(step)) for step in (0, 50, 100, 1000)]
    [0.5, 0.3, 0.1, 0.1]
    """

    def __init__(
        self, initial_rate: float, final_rate: float, decay_steps: int, power: float = 1.0
    ):
        self.initial_rate = check_number("initial_rate", initial_rate, minimum=0)
        self.final_rate = check_number("final_rate", final_rate, minimum=0)
        self.decay_steps = check_steps("decay_steps", decay_steps, minimum=1)
        self.power = check_number("power", power, minimum=0)

    def _create_keras_schedule(self) -> keras.optimizers.schedules.PolynomialDecay:
        """Return `keras.optimizers.schedules.PolynomialDecay` with these settings."""
        return keras.optimizers.schedules.PolynomialDecay(
            self.initial_rate, self.decay_steps, self.final_rate, power=self.power
        )


@_registered
class LinearCosineDecay(LearningRateSchedule):
    r"""A cosine under a straight line that falls to 0.

    .. math:: \alpha_s = \alpha_0 \left((\alpha + 1 - t)
              \tfrac{1}{2} (1 + \cos 2 \pi k t) + \beta\right), \quad t = \min(s / n, 1).

    Parameters
    ----------
    initial_rate : float
        The rate :math:`\alpha_0`, at least 0; at step 0 it is multiplied by
        :math:`1 + \alpha + \beta`.
    decay_steps : int
        The number of steps :math:`n`, at least 1.
    alpha : float, default 0.0
        The share of the cosine that does not fall with the line.
    beta : float, default 0.001
        The share of `initial_rate` that is left at the end.
    num_periods : float, default 0.5
        The number :math:`k` of periods of the cosine in `decay_steps` steps.

    Examples
    --------
    >>> schedule = LinearCosineDecay(initial_rate=1.0, decay_steps=100)
    >>> [round(float(schedule._create_tf_tensor(step)), 6) for step in (0, 50, 100, 1000)]
    [1.001, 0.251, 0.001, 0.001]

    References
    ----------
    Bello, Zoph, Vasudevan and Le, "Neural Optimizer Search with Reinforcement Learning", ICML 2017,
    https://arxiv.org/abs/1709.07417
    """

    def __init__(
        self,
        initial_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        beta: float = 0.001,
        num_periods: float = 0.5,
    ):
        self.initial_rate = check_number("initial_rate", initial_rate, minimum=0)
        self.decay_steps = check_steps("decay_steps", decay_steps, minimum=1)
        self.alpha = check_number("alpha", alpha)
        self.beta = check_number("beta", beta)
        self.num_periods = check_number("num_periods", num_periods)

    def _create_tf_tensor(self, global_step: Any) -> tf.Tensor:
        """Return the learning rate at a step."""
        t = tf.minimum(tf.cast(global_step, tf.float32) / self.decay_steps, 1.0)
        cosine = 0.5 * (1.0 + tf.cos(2.0 * math.pi * self.num_periods * t))
        return self.initial_rate * ((self.alpha + 1.0 - t) * cosine + self.beta)


@_registered
class LambdaLRWithWarmup(LearningRateSchedule):
    r"""A rate that rises from 0, then falls back to 0 or stays.

    .. math:: \alpha_s = \alpha_0 \cdot \begin{cases}
              s / w & s < w \\
              1 & s \ge w, \text{"constant"} \\
              \max(0, (n - s) / \max(1, n - w)) & s \ge w, \text{"linear"}
              \end{cases}

    Parameters
    ----------
    initial_rate : float
        The rate :math:`\alpha_0` at the top, at least 0.
    num_warmup_steps : int
        The number of steps :math:`w` on the way up, at least 0. Above 0, the rate of the first step
        is 0.
    num_training_steps : int, optional
        The number of steps :math:`n` from the first to the one where the rate is 0 again, at least
        0; needed for "linear".
    warmup_type : {"linear", "constant"}, default "linear"
        What follows the warmup: a straight line to 0, or the constant `initial_rate`.

    Raises
    ------
    ValueError
        If `warmup_type` is another one, or "linear" comes without `num_training_steps`.

    Examples
    --------
    >>> schedule = LambdaLRWithWarmup(1.0, num_warmup_steps=10, num_training_steps=110)
    >>> [float(schedule._create_tf_tensor(step)) for step in (0, 5, 10, 60, 110, 1000)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_rate: float,
        num_warmup_steps: int,
        num_training_steps: int | None = None,
        warmup_type: str = "linear",
    ):
        self.initial_rate = check_number("initial_rate", initial_rate, minimum=0)
        self.num_warmup_steps = check_steps("num_warmup_steps", num_warmup_steps)
        self.warmup_type = check_option("warmup_type", warmup_type, ("linear", "constant"))
        if num_training_steps is not None:
            num_training_steps = check_steps("num_training_steps", num_training_steps)
        elif warmup_type == "linear":
            raise ValueError(
                '`num_training_steps` must be given when `warmup_type` is "linear". '
                "Received: num_training_steps=None"
            )
        self.num_training_steps = num_training_steps

    def _create_tf_tensor(self, global_step: Any) -> tf.Tensor:
        """Return the learning rate at a step."""
        step = tf.cast(global_step, tf.float32)
        warmup, total = self.num_warmup_steps, self.num_training_steps
        after = tf.ones_like(step)
        if self.warmup_type == "linear":
            after = tf.maximum(0.0, (total - step) / max(1.0, total - warmup))
        return self.initial_rate * tf.where(step < warmup, step / max(1.0, warmup), after)


@_registered
class PiecewiseConstantSchedule(LearningRateSchedule):
    r"""A rate that is multiplied by a factor at each of some steps.

    .. math:: \alpha_s = \alpha_0 \prod_{i : b_i \le s} f_i.

    Parameters
    ----------
    initial_rate : float
        The rate :math:`\alpha_0` at the start, at least 0.
    boundaries_and_scales : dict of int to float, optional
        The factors :math:`f_i`, at least 0, by the number of steps :math:`b_i` after which each
        begins to count. None, the default, is a constant rate.

    Examples
    --------
    >>> schedule = PiecewiseConstantSchedule(0.8, {100: 0.5, 200: 0.1})
    >>> [float(schedule._create_tf_tensor(step)) for step in (0, 99, 100, 200)]
    [0.8, 0.8, 0.4, 0.04]

    Notes
    -----
    The step :math:`s = b_i`, which follows :math:`b_i` steps at the former rate, is the first with
    the new one. DeepChem says :math:`b_i < s`, but optax, which it calls, counts as here.
    """

    def __init__(
        self, initial_rate: float, boundaries_and_scales: Mapping[int, float] | None = None
    ):
        self.initial_rate = check_number("initial_rate", initial_rate, minimum=0)
        if boundaries_and_scales is not None:
            if not isinstance(boundaries_and_scales, Mapping):
                raise TypeError(
                    "`boundaries_and_scales` must be a dict from steps to factors, or None. "
                    f"Received: boundaries_and_scales={boundaries_and_scales!r}"
                )
            boundaries_and_scales = {
                check_steps("a step of boundaries_and_scales", step): check_number(
                    "a factor of boundaries_and_scales", scale, minimum=0
                )
                for step, scale in boundaries_and_scales.items()
            }
        self.boundaries_and_scales = boundaries_and_scales

    def _create_tf_tensor(self, global_step: Any) -> tf.Tensor:
        """Return the learning rate at a step."""
        step = tf.cast(global_step, tf.float32)
        rate = tf.constant(self.initial_rate)
        for boundary, scale in (self.boundaries_and_scales or {}).items():
            rate *= tf.where(step >= boundary, scale, 1.0)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; pairs in place of the dict, as in JSON."""
        pairs = self.boundaries_and_scales
        return {**super().get_config(), "boundaries_and_scales": pairs and list(pairs.items())}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PiecewiseConstantSchedule:
        """Make a schedule from what `get_config` returned."""
        pairs = config["boundaries_and_scales"]
        return cls(**{**config, "boundaries_and_scales": pairs and dict(pairs)})
