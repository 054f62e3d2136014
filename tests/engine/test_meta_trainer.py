"""Layouts of batches, ragged ones among them."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, values

from deepchem_meta.metalearning import MAML

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}


class Ragged(Sine):
    """Between one and six points, in a cloud of a random number of channels of zeros."""

    channels = False

    def get_batch(self):
        self.points = int(self.rng.integers(1, 7))
        x, y = super().get_batch()
        if self.channels:
            x = np.concatenate([x, np.zeros((len(x), self.rng.integers(0, 3)), self.dtype)], axis=1)
        return [x, y]

    def compute_model(self, inputs, variables, training):
        return super().compute_model([inputs[0][:, :1], inputs[1]], variables, training)


@pytest.mark.parametrize("channels", [False, True])
def test_ragged_batches(channels, caplog):
    """Against the plain loop, task by task, each with its own shape."""
    found = []
    traces = []

    class Counting(Ragged):
        def compute_model(self, inputs, variables, training):
            traces.append(inputs[0].shape)
            return super().compute_model(inputs, variables, training)

    for size in (1, 20):
        learner = Counting(dtype="float64")
        learner.channels = channels
        optimizer = keras.optimizers.SGD(0.01)
        maml = MAML(learner, learning_rate=0.1, meta_batch_size=3, optimizer=optimizer)
        maml.fit(20, steps_per_execution=size)
        found.append(values(learner))
        assert maml.execution_plan[:2] == (False, False)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(traces) < 80

    learner = Ragged(dtype="float64")
    learner.channels = channels
    for _ in range(20):
        total = [0.0] * 4
        for _ in range(3):
            learner.select_task()
            support, query = learner.get_batch(), learner.get_batch()
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    loss, _ = learner.compute_model(support, learner.variables, True)
                gradients = inner.gradient(loss, learner.variables)
                adapted = [v - 0.1 * g for v, g in zip(learner.variables, gradients, strict=True)]
                loss, _ = learner.compute_model(query, adapted, True)
            gradients = outer.gradient(loss, learner.variables)
            total = [t + g for t, g in zip(total, gradients, strict=True)]
        for v, g in zip(learner.variables, total, strict=True):
            v.assign_sub(np.float64(np.float32(0.01)) * g)
    for a, b in zip(found[0], values(learner), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_two_shapes_get_functions_of_their_own_and_the_rest_share_one():
    learner = Sine()
    maml = MAML(learner, **{**FAST, "task_execution": "auto"})
    plans = []
    for points in (5, 6, 5, 7, 8, 6):
        learner.points = points
        maml.fit(2)
        plans.append(maml.execution_plan.vectorized)
    assert plans == [True, True, True, False, False, True]


def test_choice_of_plan_is_logged(caplog):
    with caplog.at_level(logging.DEBUG, "deepchem_meta"):
        MAML(Quadratic(), **FAST).fit(1)
    assert "vectorized=True" in caplog.text and "as asked" in caplog.text
