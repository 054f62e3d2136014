"""A support loss of the learner's own: regularised, learned, or without labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, episodes

from deepchem_meta.metalearning import MAML, FineTuning, KerasLearner
from deepchem_meta.tasks import SinusoidTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}


class Learned(Quadratic):
    """The support loss w (S + |v|^2 / 2) with a learned w."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(0.7, dtype=tf.float64)

    @property
    def variables(self):
        return [self.v, self.w]

    def compute_model(self, inputs, variables, training):
        return super().compute_model(inputs, variables[:1], training)

    def support_loss(self, inputs, outputs, variables):
        v, w = variables
        matrix, center = inputs
        loss = tf.tensordot(v - center, tf.linalg.matvec(matrix, v - center), 1)
        return w * (loss + tf.reduce_sum(v**2)) / 2


def test_learned_and_regularised_in_closed_form():
    """f = v - r w (A (v - c) + v), and the query loss has no such terms."""
    learner = Learned()
    algorithm = MAML(learner, 0.1, adapt_variables=[learner.v], reduction="mean", **PLAIN)
    (a, c), (b, d) = support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    v, w = learner.v.numpy(), 0.7
    loss, by_v, by_w = 0.0, np.zeros(3), 0.0
    for A, C, B, D in zip(a, c, b, d, strict=True):
        push = A @ (v - C) + v
        end = v - 0.1 * w * push
        slope = B @ (end - D)
        loss += (end - D) @ slope / 4
        by_v += (np.eye(3) - 0.1 * w * (A + np.eye(3))) @ slope / 2
        by_w += -0.1 * push @ slope / 2
    assert result.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(result.gradients[0], by_v, rtol=1e-10)
    np.testing.assert_allclose(result.gradients[1], by_w, rtol=1e-10)


def test_without_labels_on_a_keras_model():
    """Adaptation that shrinks the outputs, whatever y is."""

    class Shrinks(KerasLearner):
        def support_loss(self, inputs, outputs, variables):
            return tf.reduce_mean(outputs**2)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    maml = MAML(Shrinks(model, "mse", SinusoidTasks(5, 5)), 0.1, 5)
    maml.fit(3)
    x = np.linspace(-1, 1, 6, dtype="float32")[:, np.newaxis]
    one, other = (maml.adapt((x, y)).predict(x) for y in (np.zeros_like(x), 9 + x))
    np.testing.assert_array_equal(one, other)
    assert np.mean(np.square(one)) < np.mean(np.square(maml.adapt((x, x), 0).predict(x)))


def test_fine_tuning_trains_on_the_learners_own_loss():
    found = []
    for kind in (Quadratic, Learned):
        learner = kind()
        algorithm = FineTuning(learner, **PLAIN)
        found.append(algorithm.meta_gradient(*episodes(learner, 2)).gradients[0])
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_it_must_be_a_loss():
    learner = Function([tf.Variable(1.0)], lambda inputs, variables: variables[0])
    learner.support_loss = lambda inputs, outputs, variables: 1.0
    with pytest.raises(TypeError, match="`support_loss` must return a floating-point tensor"):
        MAML(learner).fit(1)
