import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes

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


class OnlyState(Sine):
    """A learner with the one method that docs/development.md names for state, and no other."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0, trainable=False)
        self.passes = []

    @property
    def variables(self):
        return [*self.weights, self.count]

    def compute_model_and_state(self, inputs, variables, training, *, role, key):
        self.passes.append((role, training))
        loss, outputs = self.compute_model(inputs, variables[:-1], training)
        return loss, outputs, [*variables[:-1], variables[-1] + 1]


def test_a_learner_with_state_needs_no_more_than_that():
    learner = OnlyState()
    maml = MAML(learner, 0.01, 2, meta_batch_size=3)
    maml.fit(4)
    assert int(learner.count) == 4 * 3 * 3  # two steps and the query loss, in each task
    learner.select_task()
    batch = learner.get_batch()
    loss, outputs = maml.adapt(batch).predict_on_batch(batch)
    assert np.isfinite(loss) and outputs[0].shape == (5, 1)
    np.testing.assert_array_equal(maml.adapt(batch).predict(batch)[0], outputs[0])
    maml.train_on_current_task(1)
    maml.predict_on_batch(batch)

    class Source:
        def sample(self, n, rng):
            return episodes(Sine(), n)

    assert np.isfinite(maml.evaluate(Source(), n_tasks=2).loss).all()
    with pytest.raises(TypeError, match="`to_model` needs a learner that is a KerasLearner"):
        maml.adapt(batch).to_model()
    assert {role for role, _ in learner.passes} == {"support", "query"}
