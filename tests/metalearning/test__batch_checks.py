import numpy as np
import pytest

from deepchem_meta.metalearning._batch_checks import BatchChecks
from deepchem_meta.metalearning._keras_loss import OutputLoss


def make():
    """Return checks for a model that gives one number a step, and the x it was computed for."""
    computed = []

    def compute(x):
        computed.append(x.shape)
        return np.zeros((*x.shape[:-1], 1), np.float32)

    x = np.zeros((3, 5, 2), np.float32)
    outputs = np.zeros((3, 5, 1), np.float32)
    return BatchChecks(x, outputs, OutputLoss("mse", outputs), compute), computed


@pytest.mark.parametrize("axes", [1, 2])
def test_the_model_is_computed_once_for_each_new_shape_of_an_example(axes):
    checks, computed = make()
    tasks = (4,) * (axes - 1)
    for steps in (5, 7, 7, 5, 7):
        x = np.zeros((*tasks, 6, steps, 2), np.float32)
        checks.check((x, x[..., :1]), "a test", axes)
    assert computed == [(6, 7, 2)]  # of the first task alone


def test_every_task_needs_an_example_that_counts():
    checks, _ = make()
    x, weights = np.zeros((2, 3, 5, 2), np.float32), np.ones((2, 3), np.float32)
    checks.check((x, x[..., :1], weights), "a test", 2)
    weights[1] = 0
    with pytest.raises(ValueError, match="weight is not 0. Received: .* from a test"):
        checks.check((x, x[..., :1], weights), "a test", 2)


def test_targets_may_be_left_to_an_algorithm():
    checks, _ = make()
    x, labels = np.zeros((3, 5, 2), np.float32), np.arange(3)
    with pytest.raises(ValueError, match="must fit the loss"):
        checks.check((x, labels), "a test", 1)
    checks.check((x, labels), "a test", 1, targets=False)
