import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, episodes

from deepchem_meta.metalearning import MAML, MetaAlgorithm
from deepchem_meta.models.optimizers import Adam

PLAIN = {"task_execution": "looped", "jit_compile": False}


class Halfway(MetaAlgorithm):
    """Moves halfway to the support set's centre, whatever the steps: f = (v + c) / 2."""

    def __init__(self, learner):
        options = {"optimizer": Adam(), "model_dir": None, **PLAIN}
        super().__init__(learner, adapts=[True], optimization_steps=1, meta_batch_size=2, **options)

    def adapt_task(self, params, support, numbers, steps):
        _, center = support.inputs
        return [(params[0] + center) / 2]


def test_one_method_is_enough():
    learner = Quadratic()
    (_, c), (b, d) = support, query = episodes(learner, 2)
    result = Halfway(learner).meta_gradient(support, query)
    ends = [(learner.v.numpy() + center) / 2 - other for center, other in zip(c, d, strict=True)]
    loss = np.mean([e @ B @ e / 2 for e, B in zip(ends, b, strict=True)])
    gradient = np.mean([B @ e / 2 for e, B in zip(ends, b, strict=True)], axis=0)
    assert result.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(result.gradients[0], gradient, rtol=1e-12)


def test_that_method_is_needed():
    algorithm = MetaAlgorithm(
        Quadratic(), adapts=[True], optimization_steps=1, meta_batch_size=1, optimizer=Adam(),
        model_dir=None,
    )  # fmt: skip
    with pytest.raises(NotImplementedError, match="must implement adapt_task"):
        algorithm.fit(1)


def test_changed_state_leaves_out_what_is_learned_or_adapted():
    state = tf.Variable(1.0, trainable=False)

    class WithState(Quadratic):
        @property
        def variables(self):
            return [self.v, state]

    algorithm = MAML(WithState())
    before = [tf.zeros(3), tf.ones(())]
    assert algorithm.changed_state(before, [tf.ones(3), before[1]]) == [None]
    (found,) = algorithm.changed_state(before, [tf.ones(3), tf.constant(2.0)])
    assert float(found) == 2.0
