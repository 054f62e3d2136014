"""The optimizers: named settings that make Keras 3 optimizers."""

from __future__ import annotations

import numbers
from typing import Any

import keras

from deepchem_meta._checks import check_flag
from deepchem_meta.models.optimizers import _keras_rules
from deepchem_meta.models.optimizers._keras_schedules import is_schedule, to_keras_schedule
from deepchem_meta.models.optimizers._settings import Settings, check_number
from deepchem_meta.models.optimizers.schedules import LearningRateSchedule

__all__ = [
    "KFAC",
    "AdaGrad",
    "Adam",
    "AdamW",
    "GradientDescent",
    "Lamb",
    "Optimizer",
    "RMSProp",
    "SparseAdam",
]

Rate = float | LearningRateSchedule | keras.optimizers.schedules.LearningRateSchedule


class Optimizer(Settings):
    """Base of the optimizers: settings, from which Keras optimizers are made.

    A subclass implements `_create_tf_optimizer`.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        The size of a step: a number of at least 0, or a schedule of this package, of DeepChem, of
        Keras or of your own.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; every optimizer does so when it is made.

    Examples
    --------
    >>> import keras
    >>> class ClippedDescent(Optimizer):
    ...     def _create_tf_optimizer(self, global_step):
    ...         if isinstance(self.learning_rate, LearningRateSchedule):
    ...             rate = self.learning_rate._create_tf_tensor(global_step)
    ...         else:
    ...             rate = self.learning_rate
    ...         return keras.optimizers.SGD(rate, clipnorm=1.0)
    >>> from deepchem_meta.models.optimizers import to_keras_optimizer
    >>> to_keras_optimizer(ClippedDescent(0.1)).clipnorm
    1.0
    """

    def __init__(self, learning_rate: Rate):
        self.learning_rate = _check_rate("learning_rate", learning_rate)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Optimizer:
        """Make a new Keras optimizer with these settings.

        Parameters
        ----------
        global_step : scalar tf.Variable of dtype int64, optional
            The steps taken so far. The optimizers of this package do without: schedules follow the
            Keras optimizer's own `iterations`.

        Returns
        -------
        keras.optimizers.Optimizer

        Raises
        ------
        NotImplementedError
            If there is no such optimizer for Keras.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `_create_tf_optimizer(global_step)`, which "
            "returns a Keras optimizer."
        )

    def _keras_rate(self) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """Return the learning rate as Keras takes it."""
        if is_schedule(self.learning_rate):
            return to_keras_schedule(self.learning_rate)
        return _check_rate("learning_rate", self.learning_rate)


class GradientDescent(Optimizer):
    r"""Gradient descent, :math:`\theta \leftarrow \theta - \alpha g`.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The rate :math:`\alpha`.

    Examples
    --------
    >>> GradientDescent(0.1)
    GradientDescent(learning_rate=0.1)
    """

    def __init__(self, learning_rate: Rate = 0.001):
        super().__init__(learning_rate)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.SGD:
        """Make a new `keras.optimizers.SGD`."""
        return keras.optimizers.SGD(self._keras_rate())


class AdaGrad(Optimizer):
    r"""AdaGrad: the more a variable has been moved, the smaller its steps.

    .. math:: a \leftarrow a + g^2, \quad
              \theta \leftarrow \theta - \alpha \frac{g}{\sqrt{a} + \epsilon}.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The rate :math:`\alpha`.
    initial_accumulator_value : float, default 0.1
        Where every :math:`a` starts, at least 0.
    epsilon : float, default 1e-07
        The constant :math:`\epsilon`, at least 0.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12, 2011, https://jmlr.org/papers/v12/duchi11a.html
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-07,
    ):
        super().__init__(learning_rate)
        self.initial_accumulator_value = check_number(
            "initial_accumulator_value", initial_accumulator_value, minimum=0
        )
        self.epsilon = check_number("epsilon", epsilon, minimum=0)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Adagrad:
        """Make a new `keras.optimizers.Adagrad` with epsilon beside the root."""
        return _keras_rules.Adagrad(
            self._keras_rate(),
            initial_accumulator_value=self.initial_accumulator_value,
            epsilon=self.epsilon,
        )


class RMSProp(Optimizer):
    r"""RMSProp: steps divided by the root of a moving average of squared gradients.

    .. math:: v \leftarrow \rho v + (1 - \rho) g^2, \quad
              \theta \leftarrow \theta - \alpha \frac{g}{\sqrt{v} + \epsilon};

    with momentum :math:`\mu > 0`, as in DeepChem on TensorFlow, epsilon moves under the root:

    .. math:: b \leftarrow \mu b + \alpha \frac{g}{\sqrt{v + \epsilon}}, \quad
              \theta \leftarrow \theta - b.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The rate :math:`\alpha`.
    momentum : float, default 0.0
        The share :math:`\mu` of the last step that is taken again, from 0 to 1.
    decay : float, default 0.9
        The decay :math:`\rho` of the moving average, at least 0 and below 1.
    epsilon : float, default 1e-10
        The constant :math:`\epsilon`, at least 0.

    References
    ----------
    Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        momentum: float = 0.0,
        decay: float = 0.9,
        epsilon: float = 1e-10,
    ):
        super().__init__(learning_rate)
        self.momentum = check_number("momentum", momentum, minimum=0, maximum=1)
        self.decay = check_number("decay", decay, minimum=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.RMSprop:
        """Make a new `keras.optimizers.RMSprop`; without momentum, with epsilon beside the root."""
        make = keras.optimizers.RMSprop if self.momentum else _keras_rules.RMSprop
        return make(
            self._keras_rate(), rho=self.decay, momentum=self.momentum, epsilon=self.epsilon
        )


class _Adaptive(Optimizer):
    """What Adam and its relatives share: the rate, the two decays and epsilon."""

    def __init__(self, learning_rate: Rate, beta1: float, beta2: float, epsilon: float):
        super().__init__(learning_rate)
        self.beta1 = check_number("beta1", beta1, minimum=0, below=1)
        self.beta2 = check_number("beta2", beta2, minimum=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)

    def _keras_arguments(self) -> dict[str, Any]:
        return {
            "learning_rate": self._keras_rate(),
            "beta_1": self.beta1,
            "beta_2": self.beta2,
            "epsilon": self.epsilon,
        }


class Adam(_Adaptive):
    r"""Adam: steps of moving averages of gradients and their squares.

    At step :math:`t`, counted from 1,

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
              \theta \leftarrow \theta - \alpha \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
              \frac{m}{\sqrt{v} + \epsilon}.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The rate :math:`\alpha`.
    beta1, beta2 : float, default 0.9 and 0.999
        The decays :math:`\beta_1, \beta_2` of the moving averages, at least 0 and below 1.
    epsilon : float, default 1e-08
        The constant :math:`\epsilon`, at least 0. It is the paper's :math:`\hat\epsilon`, as in
        Keras; PyTorch adds it to the corrected root, so there it weighs
        :math:`1 / \sqrt{1 - \beta_2^t}` less.
    weight_decay : float, default 0
        The coefficient :math:`\lambda` of an L2 penalty, at least 0: the gradient is
        :math:`g + \lambda \theta`, as in ``torch.optim.Adam``. The `weight_decay` of
        `keras.optimizers.Adam` is that of `AdamW`.

    Examples
    --------
    >>> Adam(5e-3)._create_tf_optimizer().beta_1
    0.9

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
    https://arxiv.org/abs/1412.6980
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
        weight_decay: float = 0,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon)
        self.weight_decay = check_number("weight_decay", weight_decay, minimum=0)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Adam:
        """Make a new `keras.optimizers.Adam`."""
        if self.weight_decay == 0:
            return keras.optimizers.Adam(**self._keras_arguments())
        return _keras_rules.AdamL2(**self._keras_arguments(), l2=self.weight_decay)


class SparseAdam(_Adaptive):
    """Adam, under DeepChem's name for the variant that skips rows without a gradient.

    Meta-gradients are dense, also those of embeddings, so there are no rows to skip, and this is
    `Adam` without weight decay.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        Those of `Adam`, with the same defaults.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Adam:
        """Make a new `keras.optimizers.Adam`."""
        return keras.optimizers.Adam(**self._keras_arguments())


class AdamW(_Adaptive):
    r"""Adam with weight decay that does not pass through the moving averages.

    Before each step of `Adam`,

    .. math:: \theta \leftarrow \theta - \alpha \lambda \theta.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The rate :math:`\alpha`.
    weight_decay : float or LearningRateSchedule, default 0.01
        The coefficient :math:`\lambda`, at least 0. It is multiplied by the learning rate, as in
        ``torch.optim.AdamW`` and Keras; in tensorflow_addons it was not.
    beta1, beta2, epsilon
        Those of `Adam`, with the same defaults.
    amsgrad : bool, default False
        Divide by the root of the largest :math:`v` so far, and not of the last one.

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
    https://arxiv.org/abs/1711.05101

    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018,
    https://openreview.net/forum?id=ryQu7f-RZ
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: Rate = 0.01,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
        amsgrad: bool = False,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon)
        self.weight_decay = _check_rate("weight_decay", weight_decay)
        self.amsgrad = check_flag("amsgrad", amsgrad)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Adam:
        """Make a new `keras.optimizers.AdamW`, or one whose decay follows a schedule."""
        arguments = {**self._keras_arguments(), "amsgrad": self.amsgrad}
        if is_schedule(self.weight_decay):
            decay = to_keras_schedule(self.weight_decay)
            return _keras_rules.AdamWScheduledDecay(**arguments, decay_schedule=decay)
        return keras.optimizers.AdamW(**arguments, weight_decay=self.weight_decay)


class Lamb(_Adaptive):
    r"""Adam whose step is, in each variable, in proportion to the variable's norm.

    With the moving averages :math:`m` and :math:`v` of `Adam`, which are not corrected for their
    bias,

    .. math:: u = \frac{m}{\sqrt{v} + \epsilon} + \lambda \theta, \quad
              \theta \leftarrow \theta - \alpha \frac{\min(\|\theta\|, 10)}{\|u\|} u,

    and :math:`\theta \leftarrow \theta - \alpha u` where either norm is 0.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon
        Those of `Adam`, with the same defaults.
    weight_decay : float, default 0
        The coefficient :math:`\lambda`, at least 0. It enters the step before its norm is taken,
        as in DeepChem and the paper; that of `keras.optimizers.Lamb` is apart from the step.

    References
    ----------
    You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes", ICLR
    2020, https://arxiv.org/abs/1904.00962; the bound of 10 and the missing correction are those of
    the third version of the preprint, which DeepChem follows.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
        weight_decay: float = 0,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon)
        self.weight_decay = check_number("weight_decay", weight_decay, minimum=0)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Adam:
        """Make a new Keras optimizer with the rule above."""
        return _keras_rules.Lamb(**self._keras_arguments(), l2=self.weight_decay)


class KFAC(Optimizer):
    """A name of DeepChem's for an optimizer of PyTorch models, which has no counterpart here.

    Parameters
    ----------
    **kwargs
        Kept as the attribute `kwargs`, so that programs that only make the object still run.

    Raises
    ------
    NotImplementedError
        When it is used.
    """

    def __init__(self, **kwargs: Any):
        self.kwargs = kwargs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return dict(self.kwargs)

    def _create_tf_optimizer(self, global_step: Any = None) -> keras.optimizers.Optimizer:
        """Raise NotImplementedError."""
        raise NotImplementedError(
            "KFAC needs the layers of a PyTorch model. Use `Adam` or `Lamb`, which adapt their "
            "steps to each variable without them."
        )


def _check_rate(name: str, value: Any) -> Any:
    """Return a schedule as it is, and a number of at least 0 as a float."""
    if is_schedule(value):
        return value
    if not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number or a learning rate schedule. Received: {name}={value!r}"
        )
    return check_number(name, value, minimum=0)
