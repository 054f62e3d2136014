"""What heads are made of: targets as classes, weights by class, and a Dense layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import Embedding, LearnerModel
from deepchem_meta.engine.task_source import KnownSource

__all__ = ["class_numbers", "class_weights", "dense_layer", "known_ways"]


def known_ways(learner: Any, ways: int | None) -> int | None:
    """Return `ways` or, for None, how many classes the learner's tasks have, if they tell."""
    tasks = getattr(LearnerModel.of(learner).learner, "tasks", None)
    return ways if ways is not None or tasks is None else KnownSource.of(tasks).ways


def dense_layer(kernel: np.ndarray, bias: np.ndarray | None, features: Any) -> Any:
    """Return a linear function of a functional model's tensor, as a Dense layer.

    Parameters
    ----------
    kernel : array of shape (size, units)
    bias : array of shape (units,) or None
    features : KerasTensor of shape (None, size)
    """
    layer = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, dtype=kernel.dtype.name)
    outputs = layer(features)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return outputs


def class_weights(support: Embedding, ways: int) -> tf.Tensor:
    """Return each example's weight in the column of its class, and 0 in the others.

    Parameters
    ----------
    support : Embedding
        Of targets 0 to ways - 1. The weights of any other are NaN: a label that is out of range
        must not be left out in silence.
    ways : int
        The number of classes.

    Returns
    -------
    tensor of shape (examples, ways)
        Of the features' dtype.
    """
    dtype = support.features.dtype
    labels, right = class_numbers(support.targets, ways, dtype)
    hot = tf.one_hot(labels, ways, dtype=dtype) * right[:, tf.newaxis]
    if support.weights is None:
        return hot
    return hot * tf.cast(support.weights, hot.dtype)[:, tf.newaxis]


def class_numbers(targets: tf.Tensor, ways: int, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Return targets as int32 of shape (examples,), and 1 for each, or NaN where it is no class."""
    targets = tf.reshape(targets, (-1,))
    labels = tf.cast(targets, tf.int32)
    right = (tf.cast(labels, targets.dtype) == targets) & (labels >= 0) & (labels < ways)
    one = tf.ones_like(labels, dtype)
    return tf.clip_by_value(labels, 0, ways - 1), tf.where(right, one, one * np.nan)
