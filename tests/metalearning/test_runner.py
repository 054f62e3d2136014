import numpy as np
import pytest
from learners import Quadratic

from deepchem_meta.metalearning import MAML


def make(learner):
    options = {"meta_batch_size": 2, "task_execution": "looped", "jit_compile": False}
    return MAML(learner, 0.1, 1, **options)


def test_functions_are_made_once_for_what_a_trace_holds_fast():
    maml = make(Quadratic())
    first = maml.runner.trainer()
    maml.learning_rate = 0.2  # a number of a call, and nothing of a trace
    assert maml.runner.trainer() is first
    maml.optimization_steps = 2
    assert maml.runner.trainer() is not first
    maml.optimization_steps = 1
    assert maml.runner.trainer() is first


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_adaptation_is_gradient_descent(steps):
    """Of (v - c)' A (v - c) / 2, whose gradient is A (v - c)."""
    maml = make(Quadratic())
    maml.learner.select_task()
    batch = matrix, center = maml.model.read(maml.learner.get_batch())
    expected = maml.learner.v.numpy()
    for _ in range(steps):
        expected = expected - 0.1 * matrix @ (expected - center)
    found = maml.runner.adapt(batch, steps)
    assert list(found.extra) == []
    np.testing.assert_allclose(found.params[0], expected, rtol=1e-12)
