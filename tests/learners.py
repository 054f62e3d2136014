"""Small learners that the tests share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import deepchem_meta as dc

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
#: Of tests whose oracle is Keras itself, which has been of another mind.
as_keras_now = pytest.mark.skipif(KERAS < (3, 7), reason="earlier versions of Keras differ")


def in_float64(loss):
    """Return a Keras loss that computes in float64, which only few take an argument for in 3.3."""
    setattr(loss, "_dtype" if hasattr(loss, "_dtype") else "dtype", "float64")
    return loss


class Quadratic(dc.metalearning.MetaLearner):
    """The loss (v - c)' A (v - c) / 2, whose every derivative has a closed form.

    A batch is [A, c] with A symmetric and positive definite.
    """

    def __init__(self, size=3, dtype="float64", seed=0):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.v = tf.Variable(self.rng.normal(size=size).astype(dtype))

    def compute_model(self, inputs, variables, training):
        matrix, center = inputs
        difference = variables[0] - center
        return tf.tensordot(difference, tf.linalg.matvec(matrix, difference), 1) / 2, [difference]

    @property
    def variables(self):
        return [self.v]

    def select_task(self):
        self.center = self.rng.normal(size=self.v.shape).astype(self.dtype)

    def get_batch(self):
        factor = self.rng.normal(size=(self.v.shape[0],) * 2)
        matrix = factor @ factor.T / 3 + np.eye(len(factor))
        return [matrix.astype(self.dtype), self.center + 0.1]


class Sine(dc.metalearning.MetaLearner):
    """Sine curves of random amplitude and phase, with a small dense net."""

    def __init__(self, hidden=8, dtype="float32", points=5, seed=0):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.points = points
        shapes = [(1, hidden), (hidden,), (hidden, 1), (1,)]
        self.weights = [
            tf.Variable(self.rng.normal(size=shape, scale=0.5).astype(dtype)) for shape in shapes
        ]

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        w1, b1, w2, b2 = variables
        prediction = tf.tanh(x @ w1 + b1) @ w2 + b2
        return tf.reduce_mean((prediction - y) ** 2), [prediction]

    @property
    def variables(self):
        return self.weights

    def select_task(self):
        self.amplitude = self.rng.uniform(0.1, 5.0)
        self.phase = self.rng.uniform(0.0, np.pi)

    def get_batch(self):
        x = self.rng.uniform(-5.0, 5.0, (self.points, 1))
        return [x.astype(self.dtype), (self.amplitude * np.sin(x + self.phase)).astype(self.dtype)]

    def compute_embedding(self, inputs, variables, training):
        x, y = inputs
        return tf.tanh(x @ variables[0] + variables[1]), y


class Classes(dc.metalearning.MetaLearner):
    """Three classes of points in the plane, which are other ones in every task."""

    def __init__(self, hidden=6, dtype="float32", points=6, seed=0):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.points = points
        shapes = [(2, hidden), (hidden,), (hidden, 3), (3,)]
        self.weights = [
            tf.Variable(self.rng.normal(size=shape, scale=0.5).astype(dtype)) for shape in shapes
        ]

    def compute_embedding(self, inputs, variables, training):
        x, y = inputs
        return tf.tanh(x @ variables[0] + variables[1]), y

    def compute_model(self, inputs, variables, training):
        features, y = self.compute_embedding(inputs, variables, training)
        logits = features @ variables[2] + variables[3]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        return tf.reduce_mean(losses), [logits]

    @property
    def variables(self):
        return self.weights

    def select_task(self):
        self.centers = self.rng.normal(size=(3, 2))

    def get_batch(self):
        y = np.arange(self.points, dtype=np.int32) % 3
        x = self.centers[y] + 0.3 * self.rng.normal(size=(self.points, 2))
        return [x.astype(self.dtype), y]


class ResumableSine(Sine):
    """A `Sine` that can say where its random numbers stand."""

    def get_state(self):
        return self.rng.bit_generator.state

    def set_state(self, state):
        self.rng.bit_generator.state = state


class Function(dc.metalearning.MetaLearner):
    """A learner made of its variables, a loss and a batch that is always the same."""

    def __init__(self, variables, loss):
        self._variables = list(variables)
        self._loss = loss

    def compute_model(self, inputs, variables, training):
        return self._loss(inputs, variables), [inputs[0]]

    @property
    def variables(self):
        return self._variables

    def select_task(self):
        pass

    def get_batch(self):
        return [np.float32(1.0)]


def episodes(learner, tasks):
    """Return (support, query) of some tasks, stacked along a first axis."""
    support, query = [], []
    for _ in range(tasks):
        learner.select_task()
        support.append(learner.get_batch())
        query.append(learner.get_batch())
    return tuple(
        [np.stack(arrays) for arrays in zip(*part, strict=True)] for part in (support, query)
    )


def values(learner):
    """Return the learner's variables as NumPy arrays."""
    return [variable.numpy() for variable in learner.variables]
