"""Adaptation to one task."""

import numpy as np
import pytest
from learners import Sine, values

from deepchem_meta.metalearning import MAML

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}


def test_adapt_leaves_the_learner_alone_and_is_training_on_one_batch():
    learner = Sine(dtype="float64")
    maml = MAML(learner, learning_rate=0.1, optimization_steps=3)
    learner.select_task()
    batch = learner.get_batch()
    before = values(learner)
    adapted = maml.adapt(batch)
    five = maml.adapt(batch, optimization_steps=5)
    for a, b in zip(values(learner), before, strict=True):
        np.testing.assert_array_equal(a, b)
    learner.get_batch = lambda: batch
    maml.train_on_current_task(optimization_steps=3, restore=False)
    for a, b in zip(adapted.variables, values(learner), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    loss, outputs = maml.predict_on_batch(batch)
    assert float(adapted.predict_on_batch(batch)[0]) == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(adapted.predict(batch)[0], outputs[0], rtol=1e-12)
    assert float(five.predict_on_batch(batch)[0]) < float(loss)
