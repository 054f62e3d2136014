"""Update rules that Keras lacks, or has with another meaning than DeepChem's.

They are Keras 3 optimizers, so Keras saves and loads them, and they work in `Model.compile` too.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepchem_meta.models.optimizers._keras_schedules import to_keras_schedule

__all__ = ["Adagrad", "AdamL2", "AdamWScheduledDecay", "Lamb", "RMSprop"]

_registered = keras.saving.register_keras_serializable(package="deepchem_meta")

# DeepChem's Lamb takes a larger norm of the weights for this one.
_LARGEST_WEIGHT_NORM = 10.0


@_registered
class AdamL2(keras.optimizers.Adam):
    r"""Adam on the gradient of the loss with an L2 penalty, :math:`g + \lambda \theta`.

    The `weight_decay` of Keras is another thing: it shrinks the variables past the moments.

    Parameters
    ----------
    *args, **kwargs
        Those of `keras.optimizers.Adam`.
    l2 : float, default 0.0
        The coefficient :math:`\lambda`.
    """

    def __init__(self, *args: Any, l2: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.l2 = l2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        penalised = ops.add(ops.cast(gradient, variable.dtype), self.l2 * variable)
        super().update_step(penalised, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "l2": self.l2}


@_registered
class AdamWScheduledDecay(keras.optimizers.Adam):
    r"""AdamW whose weight decay follows a schedule, :math:`\theta - \alpha_s \lambda_s \theta`.

    Parameters
    ----------
    *args, **kwargs
        Those of `keras.optimizers.Adam`.
    decay_schedule : keras.optimizers.schedules.LearningRateSchedule
        The coefficient :math:`\lambda_s` at each step.
    """

    def __init__(self, *args: Any, decay_schedule: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.decay_schedule = to_keras_schedule(decay_schedule)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        decay = ops.cast(self.decay_schedule(self.iterations), variable.dtype)
        self.assign_sub(variable, rate * decay * variable)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        schedule = keras.optimizers.schedules.serialize(self.decay_schedule)
        return {**super().get_config(), "decay_schedule": schedule}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make an optimizer from what `get_config` returned."""
        schedule = keras.optimizers.schedules.deserialize(config["decay_schedule"], custom_objects)
        return super().from_config({**config, "decay_schedule": schedule}, custom_objects)


@_registered
class Lamb(keras.optimizers.Adam):
    r"""Adam without bias correction, each variable's step as long as the variable is large.

    With :math:`u = m / (\sqrt{v} + \epsilon) + \lambda \theta`, a step is
    :math:`-\alpha \, \frac{\min(\|\theta\|, 10)}{\|u\|} u`, or :math:`-\alpha u` where either norm
    is 0. `keras.optimizers.Lamb`, which the first releases of Keras 3 lack, corrects the bias, has
    no bound on the norm, and decays the variables apart from the step.

    Parameters
    ----------
    *args, **kwargs
        Those of `keras.optimizers.Adam`.
    l2 : float, default 0.0
        The coefficient :math:`\lambda`.
    """

    def __init__(self, *args: Any, l2: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.l2 = l2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (1 - self.beta_1) * (gradient - m))
        self.assign_add(v, (1 - self.beta_2) * (ops.square(gradient) - v))
        update = m / (ops.sqrt(v) + self.epsilon) + self.l2 * variable
        size = ops.minimum(_norm(variable), _LARGEST_WEIGHT_NORM)
        length = _norm(update)
        usual = ops.logical_and(size > 0, length > 0)
        # The denominator is never 0: XLA evaluates both branches.
        ratio = ops.where(usual, size / ops.where(usual, length, 1.0), 1.0)
        self.assign_sub(variable, rate * ratio * update)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "l2": self.l2}


@_registered
class Adagrad(keras.optimizers.Adagrad):
    r"""AdaGrad with epsilon beside the root, :math:`\sqrt{a} + \epsilon`, and not under it.

    Under it, as in Keras 3, the default of 1e-7 slows down all gradients below 3e-4 where the
    accumulators start at 0.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(accumulator, ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(accumulator) + self.epsilon))


@_registered
class RMSprop(keras.optimizers.RMSprop):
    r"""RMSProp without momentum, and epsilon beside the root, :math:`\sqrt{v} + \epsilon`.

    Under it, as in Keras 3, the default of 1e-10 slows down all gradients below 3e-5.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        velocity = self._velocities[self._get_variable_index(variable)]
        self.assign_add(velocity, (1 - self.rho) * (ops.square(gradient) - velocity))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(velocity) + self.epsilon))


def _norm(value: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(value)))
