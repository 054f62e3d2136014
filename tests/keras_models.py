"""Tiny Keras models, one for each kind of layer, and what their meta-gradient must be."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from learners import in_float64

import deepchem_meta as dc

TASKS, EXAMPLES, STEPS, RATE = 2, 4, 2, 0.1


@dataclass(frozen=True)
class Kind:
    """A model, the shape of an example and what else belongs to it."""

    make: Callable
    shape: tuple = (3,)
    options: dict = field(default_factory=dict)
    loss: object = "mse"
    labels: bool = False
    integers: bool = False


def stack(*parts, out=1):
    """Return a function that makes a Sequential model of some layers and a Dense head."""

    def make():
        head = [layers.Flatten(), layers.Dense(out)]
        return keras.Sequential([*(part() for part in parts), *head])

    return make


def dense():
    return layers.Dense(3, "tanh")


def shared():
    x = keras.Input((3,))
    layer = layers.Dense(3, "tanh")
    return keras.Model(x, layers.Dense(1)(layer(layer(x))))


def nested():
    return keras.Sequential([keras.Sequential([dense()]), layers.Dense(1)])


def frozen():
    model = keras.Sequential([keras.Input((3,)), dense(), dense(), layers.Dense(1)])
    model.layers[0].trainable = False
    return model


def attention():
    x = keras.Input((3, 2))
    y = layers.MultiHeadAttention(2, 2)(x, x)
    return keras.Model(x, layers.Dense(1)(layers.Flatten()(y)))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model whose call does not know of training."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hidden, self.head = layers.Dense(3, "tanh"), layers.Dense(1)

    def call(self, x):
        return self.head(self.hidden(x))


@keras.saving.register_keras_serializable("tests")
class WithTraining(Subclassed):
    """A model whose call does, with BatchNormalization."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm = layers.BatchNormalization()

    def call(self, x, training=False):
        return self.head(self.norm(self.hidden(x), training=training))


class Activity(layers.Layer):
    """A layer with a loss of its own."""

    def call(self, x):
        self.add_loss(0.1 * keras.ops.mean(keras.ops.square(x)))
        return x


def normalised(mode):
    return Kind(stack(dense, layers.BatchNormalization), options={"batch_norm": mode})


KINDS = {
    "Dense": Kind(stack(dense)),
    "Conv1D": Kind(stack(lambda: layers.Conv1D(2, 2, activation="tanh")), (4, 2)),
    "Conv2D": Kind(stack(lambda: layers.Conv2D(2, 2, activation="tanh")), (3, 3, 2)),
    "Conv3D": Kind(stack(lambda: layers.Conv3D(2, 2, activation="tanh")), (3, 3, 3, 1)),
    "Conv2DTranspose": Kind(stack(lambda: layers.Conv2DTranspose(2, 2, 2)), (2, 2, 2)),
    "DepthwiseConv2D": Kind(stack(lambda: layers.DepthwiseConv2D(2, activation="tanh")), (3, 3, 2)),
    "SeparableConv2D": Kind(
        stack(lambda: layers.SeparableConv2D(2, 2, activation="tanh")), (3, 3, 2)
    ),
    "MaxPooling1D": Kind(stack(lambda: layers.Conv1D(2, 2), layers.MaxPooling1D), (5, 2)),
    "MaxPooling2D": Kind(stack(lambda: layers.Conv2D(2, 2), layers.MaxPooling2D), (5, 5, 1)),
    "AveragePooling2D": Kind(
        stack(lambda: layers.Conv2D(2, 2, activation="tanh"), lambda: layers.AveragePooling2D(2)),
        (5, 5, 1),
    ),
    "GlobalAveragePooling2D": Kind(
        stack(lambda: layers.Conv2D(2, 2, activation="tanh"), layers.GlobalAveragePooling2D),
        (4, 4, 1),
    ),
    "GlobalMaxPooling1D": Kind(
        stack(lambda: layers.Conv1D(2, 2), layers.GlobalMaxPooling1D), (5, 2)
    ),
    "BatchNormalization, transductive": normalised("transductive"),
    "BatchNormalization, support": normalised("support"),
    "BatchNormalization, running": normalised("running"),
    "BatchNormalization after Conv2D": Kind(
        stack(lambda: layers.Conv2D(2, 2), layers.BatchNormalization, layers.ReLU), (3, 3, 1)
    ),
    "LayerNormalization": Kind(stack(lambda: layers.Dense(8, "tanh"), layers.LayerNormalization)),
    "GroupNormalization": Kind(
        stack(lambda: layers.Dense(8, "tanh"), lambda: layers.GroupNormalization(2))
    ),
    "UnitNormalization": Kind(stack(dense, layers.UnitNormalization)),
    "SimpleRNN": Kind(stack(lambda: layers.SimpleRNN(2)), (3, 2)),
    "LSTM": Kind(stack(lambda: layers.LSTM(2, use_cudnn=False)), (3, 2)),
    "GRU": Kind(stack(lambda: layers.GRU(2, use_cudnn=False)), (3, 2)),
    "GRU, unrolled": Kind(stack(lambda: layers.GRU(2, unroll=True, use_cudnn=False)), (3, 2)),
    "Bidirectional LSTM": Kind(
        stack(lambda: layers.Bidirectional(layers.LSTM(2, use_cudnn=False))), (3, 2)
    ),
    "TimeDistributed": Kind(stack(lambda: layers.TimeDistributed(dense())), (3, 2)),
    "MultiHeadAttention": Kind(attention, (3, 2)),
    "Embedding": Kind(stack(lambda: layers.Embedding(5, 2)), (3,), integers=True),
    "PReLU": Kind(stack(lambda: layers.Dense(3), layers.PReLU)),
    "softmax cross-entropy": Kind(
        stack(dense, out=3),
        loss=in_float64(keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        labels=True,
    ),
    "shared layer": Kind(shared),
    "nested model": Kind(nested),
    "frozen layer": Kind(frozen),
    "subclassed": Kind(Subclassed),
    "subclassed with training": Kind(WithTraining),
    "add_loss": Kind(stack(dense, Activity)),
    "L2 regulariser": Kind(stack(lambda: layers.Dense(3, "tanh", kernel_regularizer="l2"))),
}


class Fixed:
    """Always the same tasks, in float64."""

    def __init__(self, kind, seed=0):
        rng = np.random.default_rng(seed)
        shape = (2, TASKS, EXAMPLES, *kind.shape)
        self.x = rng.integers(5, size=shape) if kind.integers else rng.normal(size=shape)
        shape = (2, TASKS, EXAMPLES)
        self.y = rng.integers(3, size=shape) if kind.labels else rng.normal(size=(*shape, 1))

    def sample(self, n, rng):
        return tuple((x[:n], y[:n]) for x, y in zip(self.x, self.y, strict=True))


def make_maml(kind, **options):
    """Return MAML over a float64 model, and its tasks."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(1)
    try:
        tasks = Fixed(kind)
        learner = dc.metalearning.KerasLearner(kind.make(), kind.loss, tasks, **kind.options)
    finally:
        keras.config.set_dtype_policy(policy)
    # Away from where the start values of a layer would hide a part of the gradient.
    rng = np.random.default_rng(2)
    for weight in learner.model.trainable_weights:
        weight.assign(weight + rng.normal(size=weight.shape, scale=0.1))
    maml = dc.metalearning.MAML(learner, RATE, STEPS, TASKS, reduction="sum", **options)
    return maml, tasks


def meta_loss(model, kind, tasks):
    """Compute the sum over tasks of the query loss after adaptation: plain Keras, eagerly."""
    start = [weight.numpy() for weight in model.weights]
    total = 0.0
    for task in range(TASKS):
        (xs, ys), (xq, yq) = ((x[task], y[task]) for x, y in zip(tasks.x, tasks.y, strict=True))
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                loss = compute_loss(model, kind, xs, ys)
            weights = [v.value for v in model.trainable_weights]
            for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
                weight.assign_sub(RATE * tf.convert_to_tensor(gradient))
        if kind.options.get("batch_norm") == "support":
            (norm,) = (x for x in model.layers if isinstance(x, layers.BatchNormalization))
            norm.momentum = 0.0
            model(xs, training=True)  # leaves the statistics of the support set
            norm.momentum = 0.99
            total += float(compute_loss(model, kind, xq, yq, training=False))
        else:
            total += float(compute_loss(model, kind, xq, yq))
        for weight, value in zip(model.weights, start, strict=True):
            weight.assign(value)
    return total


def compute_loss(model, kind, x, y, training=True):
    outputs = model(x, training=training)
    if kind.labels:
        value = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=outputs)
    else:
        value = (outputs - y) ** 2
    return tf.add_n([tf.reduce_mean(value), *(tf.cast(x, tf.float64) for x in model.losses)])


def largest_difference(kind, directions=2, step=1e-5, **options):
    """Compare the meta-gradient with central differences along random directions.

    Returns
    -------
    difference : float
        The largest, relative to the norm of the gradient.
    maml : MAML
    """
    maml, tasks = make_maml(kind, **options)
    model = maml.learner.model
    support, query = tasks.sample(TASKS, None)
    found = maml.meta_gradient(support, query).gradients
    gradients = [np.zeros(v.shape) if g is None else g.numpy() for g, v in
                 zip(found, model.trainable_weights, strict=True)]  # fmt: skip
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    rng = np.random.default_rng(3)
    worst = 0.0
    start = [weight.numpy() for weight in model.trainable_weights]
    for _ in range(directions):
        moves = [rng.normal(size=value.shape) for value in start]
        losses = []
        for sign in (1, -1):
            for weight, value, move in zip(model.trainable_weights, start, moves, strict=True):
                weight.assign(value + sign * step * move)
            losses.append(meta_loss(model, kind, tasks))
        expected = (losses[0] - losses[1]) / (2 * step)
        along = sum(np.sum(g * m) for g, m in zip(gradients, moves, strict=True))
        size = np.sqrt(sum(np.sum(m**2) for m in moves))
        worst = max(worst, abs(along - expected) / (norm * size))
    return worst, maml
