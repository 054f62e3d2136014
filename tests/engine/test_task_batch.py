import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.task_batch import TaskBatch

KEY = tf.constant([7, 5, 2], tf.int64)  # seed, meta-step, task


def batch_of(learner, role, training=True):
    model = LearnerModel(learner)
    learner.select_task()
    arrays = model.reader.read(learner.get_batch())
    return TaskBatch(model, arrays, role, KEY, training), model.values(), arrays


@pytest.mark.parametrize("role", ["support", "query"])
def test_the_loss_is_the_learners(role):
    batch, values, (matrix, center) = batch_of(Quadratic(), role)
    difference = values[0].numpy() - center
    assert float(batch.loss(values)) == pytest.approx(difference @ matrix @ difference / 2)
    assert int(batch.meta_step) == 5


@pytest.mark.parametrize(("role", "replaced"), [("support", True), ("query", False)])
def test_a_support_loss_is_for_the_support_batch(role, replaced):
    learner = Quadratic()
    learner.support_loss = lambda inputs, outputs, variables: tf.constant(-1.0, tf.float64)
    batch, values, _ = batch_of(learner, role)
    own, _ = batch.own_loss_and_state(values)
    assert float(batch.loss(values)) == (-1.0 if replaced else float(own))
    assert float(own) > 0


class Passes(Quadratic):
    """Gives the number of the pass for a loss, and one more for its state."""

    takes_sample_weights = False

    def compute_model_and_state(self, inputs, variables, training, *, role, key):
        np.testing.assert_array_equal(key[:3], KEY)
        return tf.cast(key[3], tf.float64), inputs, [variables[0] + 1]


@pytest.mark.parametrize(("role", "passes"), [("support", [0, 1, 2]), ("query", [-1, -2, -3])])
def test_passes_over_support_and_query_have_numbers_apart(role, passes):
    batch, values, _ = batch_of(Passes(), role)
    assert [float(batch.loss(values, step)) for step in range(3)] == passes
    _, after = batch.loss_and_state(values)
    np.testing.assert_array_equal(after[0], values[0] + 1)
