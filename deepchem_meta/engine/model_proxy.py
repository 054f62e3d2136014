"""Stands in for the model that Keras callbacks expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

__all__ = ["ModelProxy"]

_OWN = "`stop_training`, `optimizer`, `get_weights` and `set_weights`"


class ModelProxy:
    """Stands in for the model that Keras callbacks expect.

    Over a `KerasLearner` everything else that a callback asks for is the learner's model's: its
    name, `save`, `save_weights`, `layers`, `trainable_variables` and so on.

    Parameters
    ----------
    variables : list of tf.Variable
        The learner's.
    optimizer : keras.optimizers.Optimizer
        The meta-optimizer.
    model : keras.Model, optional
        The learner's model.

    Attributes
    ----------
    stop_training : bool
        Set it to True to end `fit` after the running call.
    optimizer : keras.optimizers.Optimizer
        The meta-optimizer, whose `learning_rate` can be read and set.
    """

    train_function = None  # TensorBoard looks for a graph

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        optimizer: keras.optimizers.Optimizer,
        model: keras.Model | None = None,
    ):
        self.stop_training = False
        self.optimizer = optimizer
        self.history: keras.callbacks.History | None = None
        self._variables = list(variables)
        self._keras_model = model

    def get_weights(self) -> list[np.ndarray]:
        """Return the values of the learner's variables."""
        return [variable.numpy() for variable in self._variables]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Assign the learner's variables."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    def __getattr__(self, name: str) -> Any:
        model = self.__dict__.get("_keras_model")
        if model is not None and hasattr(model, name):
            return getattr(model, name)
        if name == "distribute_strategy":
            return tf.distribute.get_strategy()
        kept = " Models are saved in `model_dir`, see `fit`." if name.startswith("save") else ""
        whose = f"{_OWN}, and what the model of a KerasLearner has" if model is None else _OWN
        raise AttributeError(
            f"A callback asked for `model.{name}`. Meta-training gives callbacks a stand-in for "
            f"the model, which has {whose}.{kept}"
        )
