"""Turns whatever is given as an optimizer into one of Keras 3."""

from __future__ import annotations

import copy
import inspect
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta.models.optimizers import rules, schedules
from deepchem_meta.models.optimizers._keras_schedules import is_schedule, to_keras_schedule

__all__ = ["to_keras_optimizer"]

_DEEPCHEM = "deepchem.models.optimizers"
_ABSTRACT = ("Optimizer", "LearningRateSchedule")


def to_keras_optimizer(optimizer: Any, global_step: Any = None) -> keras.optimizers.Optimizer:
    """Return a Keras 3 optimizer.

    Learning rate schedules follow the optimizer's own `iterations`, so they advance with training.

    Parameters
    ----------
    optimizer : Optimizer or keras.optimizers.Optimizer or str or dict
        One of

        - a Keras optimizer, which is returned itself, or the name or configuration of one;
        - an optimizer of this package;
        - one of ``deepchem.models.optimizers``, or of a subclass. DeepChem is not imported: its
          classes are known by their names, and only their settings are read;
        - an object of your own with a method ``_create_tf_optimizer(global_step)`` that returns a
          Keras optimizer.
    global_step : scalar tf.Variable of dtype int64, optional
        The steps taken so far, handed on to ``_create_tf_optimizer``. By default a new variable.

    Returns
    -------
    keras.optimizers.Optimizer
        A new one, unless `optimizer` is one itself.

    Raises
    ------
    TypeError
        If `optimizer` is none of these, or its method returns something else.
    ValueError
        If a name, a configuration or a setting is not valid.
    NotImplementedError
        If there is no such optimizer for Keras: `KFAC`.

    Examples
    --------
    >>> import keras
    >>> from deepchem_meta.models.optimizers import Adam, ExponentialDecay
    >>> optimizer = to_keras_optimizer(Adam(ExponentialDecay(0.5, 0.1, decay_steps=100)))
    >>> optimizer.build([keras.Variable(0.0)])
    >>> for step in range(100):
    ...     optimizer.apply([keras.ops.ones(())])
    >>> float(optimizer.learning_rate)
    0.05

    Notes
    -----
    Keras refuses a tensor as a learning rate, and a tensor would never advance. So while a
    ``_create_tf_optimizer`` runs, the schedules among the attributes of its object return Keras
    schedules from ``_create_tf_tensor(global_step)``, and
    ``keras.optimizers.SGD(self.learning_rate._create_tf_tensor(global_step))`` works as it did in
    DeepChem. What has to be computed from the rate belongs into a schedule of your own.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer
    if isinstance(optimizer, (str, dict)):
        return keras.optimizers.get(optimizer)
    made_by = _mirror(optimizer, rules)
    if isinstance(made_by, type) or not callable(getattr(made_by, "_create_tf_optimizer", None)):
        raise TypeError(
            "`optimizer` must be an optimizer of `deepchem_meta.models.optimizers`, of DeepChem or "
            "of Keras, the name of one of Keras, or have a method "
            f"`_create_tf_optimizer(global_step)`. Received: optimizer={optimizer!r}"
        )
    if global_step is None:
        global_step = tf.Variable(0, dtype=tf.int64, trainable=False)
    made = _with_keras_schedules(made_by)._create_tf_optimizer(global_step)
    if not isinstance(made, keras.optimizers.Optimizer):
        raise TypeError(
            f"`_create_tf_optimizer` of {type(optimizer).__name__} must return a Keras 3 "
            f"optimizer. Received: {made!r}"
        )
    return made


def _mirror(given: Any, module: ModuleType) -> Any:
    """Return our object with the settings of one of DeepChem's; anything else as it is.

    What a user's subclass of a DeepChem class overrides counts as the user's.
    """
    for owner in type(given).__mro__:
        if f"{owner.__module__}.".startswith(f"{_DEEPCHEM}."):
            if owner.__name__ not in module.__all__ or owner.__name__ in _ABSTRACT:
                raise TypeError(
                    "An object of DeepChem's must have a counterpart of the same name in "
                    "`deepchem_meta.models.optimizers`, or implement `_create_tf_optimizer` or "
                    f"`_create_tf_tensor`. Received: {given!r}"
                )
            ours = getattr(module, owner.__name__)
            names = inspect.signature(ours).parameters
            return ours(**{name: getattr(given, name) for name in names if hasattr(given, name)})
        if {"_create_tf_optimizer", "_create_tf_tensor"} & vars(owner).keys():
            break
    return given


def _with_keras_schedules(optimizer: Any) -> Any:
    """Return a copy of `optimizer` whose schedules return Keras schedules in place of tensors."""
    stand_ins = {}
    for name, value in getattr(optimizer, "__dict__", {}).items():
        if is_schedule(value) and hasattr(value, "_create_tf_tensor"):
            rate = to_keras_schedule(_mirror(value, schedules))
            stand_ins[name] = copy.copy(value)
            stand_ins[name]._create_tf_tensor = lambda global_step, rate=rate: rate
            stand_ins[name]._create_keras_schedule = lambda rate=rate: rate
    if not stand_ins:
        return optimizer
    twin = copy.copy(optimizer)
    vars(twin).update(stand_ins)
    return twin
