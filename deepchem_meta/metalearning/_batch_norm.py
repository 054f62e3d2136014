"""BatchNorm as its named modes have it, and normalisation that can be differentiated twice."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

__all__ = ["MODES", "batch_norm_layers", "batch_norm_mode", "exact_moments"]

MODES = ("transductive", "support", "running")


def batch_norm_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the layers of BatchNormalization of a model, inner ones included."""
    layers = model._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


@contextlib.contextmanager
def batch_norm_mode(
    layers: Sequence[keras.layers.BatchNormalization],
    mode: str,
    role: str,
    weights: tf.Tensor | None,
    training: bool | None = None,
) -> Iterator[None]:
    """Let layers take the statistics that a mode asks for, while a model is computed.

    Parameters
    ----------
    layers : list of keras.layers.BatchNormalization
        The model's.
    mode : {"transductive", "support", "running"}
        - "transductive": always those of the batch at hand;
        - "support": those of the batch at hand for the support set, which the moving averages then
          hold, and the moving averages for the query set;
        - "running": as in Keras, those of the batch at hand in training and the moving averages in
          prediction.
    role : {"support", "query"}
        Which set of its task the batch is.
    weights : tensor of shape (examples, ...), optional
        Sample weights. Examples with weight 0 do not count in the statistics of layers whose
        input has the example as first axis.
    training : bool, optional
        What "running" takes for ``training`` instead of what the model is called with.
    """
    of_batch = {"transductive": True, "support": role == "support", "running": training}[mode]
    counted = None
    if weights is not None:
        axes = list(range(1, weights.shape.rank))
        counted = tf.reduce_any(tf.cast(weights, tf.bool), axis=axes)
    with contextlib.ExitStack() as stack:
        for layer in layers:
            call = functools.partial(_call, layer, of_batch, counted)
            stack.enter_context(_attribute(layer, "call", call))
            if mode == "support":  # the averages are those of the last support batch alone
                stack.enter_context(_attribute(layer, "momentum", 0.0))
        yield


@contextlib.contextmanager
def exact_moments() -> Iterator[None]:
    """Give `tf.nn.moments` a second derivative that is right, while a model is computed.

    TensorFlow's takes the mean for a constant in the variance. The first derivative is right all
    the same; the second, and with it any meta-gradient through Keras' BatchNormalization,
    LayerNormalization or GroupNormalization, is off (see tests/test_upstream.py). Another thread
    that uses `tf.nn.moments` in the meantime gets the same values and first derivatives.
    """
    with _attribute(tf.nn, "moments", _moments):
        yield


def _moments(x, axes, shift=None, keepdims=False, name=None):
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=keepdims)
    return mean if keepdims else tf.squeeze(mean, axes), variance


def _call(layer, of_batch, counted, inputs, training=None, mask=None):
    """Call a BatchNormalization layer with the statistics and the examples that are asked for."""
    if of_batch is not None:
        training = of_batch
    if counted is not None and inputs.shape[0] == counted.shape[0]:
        rows = tf.reshape(counted, [-1] + [1] * (inputs.shape.rank - 2))
        rows = tf.ensure_shape(tf.broadcast_to(rows, tf.shape(inputs)[:-1]), inputs.shape[:-1])
        mask = rows if mask is None else tf.cast(mask, tf.bool) & rows
    return type(layer).call(layer, inputs, training=training, mask=mask)


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object an attribute of its own for a while."""
    own = name in vars(owner)
    before = getattr(owner, name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if own:
            object.__setattr__(owner, name, before)
        else:
            object.__delattr__(owner, name)
