"""What heads are made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.engine.learner_model import Embedding
from deepchem_meta.metalearning._heads import class_numbers, class_weights, dense_layer, known_ways
from deepchem_meta.tasks import FewShotClassificationTasks


def embedded(targets, weights=None):
    features = tf.zeros((len(targets), 4), tf.float64)
    weights = None if weights is None else tf.constant(weights)
    return Embedding(features, tf.constant(targets), weights, None, [])


@pytest.mark.parametrize("column", [False, True])
def test_class_weights_are_keras_one_hot_times_the_weights(column):
    targets, weights = [2, 0, 1, 2], [1.0, 0.5, 0.0, 2.0]
    given = np.array(targets)[:, None] if column else targets
    found = class_weights(embedded(given, weights), 3)
    assert found.dtype == tf.float64
    wanted = keras.utils.to_categorical(targets, 3) * np.array(weights)[:, None]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("wrong", [3.0, -1.0, 0.5])
def test_a_target_that_is_no_class_becomes_nan(wrong):
    labels, right = class_numbers(tf.constant([0.0, wrong, 2.0]), 3, tf.float32)
    assert set(labels.numpy()) <= {0, 1, 2}
    np.testing.assert_array_equal(np.isnan(right), [False, True, False])
    np.testing.assert_array_equal(
        np.isnan(class_weights(embedded([0.0, wrong, 2.0]), 3)).any(axis=1), [False, True, False]
    )


@pytest.mark.parametrize("bias", [False, True])
def test_dense_layer_is_the_linear_function(bias):
    rng = np.random.default_rng(0)
    kernel, x = rng.normal(size=(4, 3)), rng.normal(size=(5, 4))
    offset = rng.normal(size=3) if bias else None
    inputs = keras.Input((4,), dtype="float64")
    model = keras.Model(inputs, dense_layer(kernel, offset, inputs))
    wanted = x @ kernel + (offset if bias else 0)
    np.testing.assert_allclose(model(x), wanted, rtol=1e-12, atol=1e-12)


def test_ways_are_those_given_or_those_of_the_tasks():
    learner = Sine()
    assert known_ways(learner, None) is None
    assert known_ways(learner, 4) == 4
    images = np.arange(12.0, dtype="float32").reshape(12, 1)
    learner.tasks = FewShotClassificationTasks(
        images, np.repeat(np.arange(3), 4), ways=3, shots=1, queries=1
    )
    assert known_ways(learner, None) == 3
