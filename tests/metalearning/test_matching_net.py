import numpy as np
import pytest
from learners import Classes, episodes
from oracles import central_differences

from deepchem_meta.metalearning import MatchingNet

PLAIN = {"task_execution": "looped", "jit_compile": False}


def numpy_loss(learner, support, query, temperature):
    """Return minus the mean logarithm of the attention that goes to the right class."""
    w, b = (v.numpy() for v in learner.variables[:2])
    losses = []
    for x, y, qx, qy in zip(*support, *query, strict=True):
        features, queries = (np.tanh(part @ w + b) for part in (x, qx))
        features, queries = (
            part / np.linalg.norm(part, axis=1, keepdims=True) for part in (features, queries)
        )
        attention = np.exp(temperature * queries @ features.T)
        attention /= attention.sum(axis=1, keepdims=True)
        right = (attention * (qy[:, None] == y)).sum(axis=1)
        losses.append(-np.mean(np.log(right)))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [None, 1.0])
def test_loss_and_meta_gradient(temperature):
    learner = Classes(hidden=3, dtype="float64")
    algorithm = MatchingNet(learner, temperature=temperature, ways=3, **PLAIN)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)

    def oracle():
        return numpy_loss(learner, support, query, algorithm.temperature)

    assert result.loss == pytest.approx(oracle(), rel=1e-10)
    own = result.variables[len(learner.variables) :]
    moved = [*learner.variables[:2], *own]
    found = result.gradients[:2] + result.gradients[len(learner.variables) :]
    for gradient, expected in zip(found, central_differences(oracle, moved), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


def test_one_example_a_class_is_the_nearest_neighbour():
    learner = Classes(points=3)
    algorithm = MatchingNet(learner, ways=3)
    learner.select_task()
    x, y = learner.get_batch()
    logits = algorithm.adapt([x, y]).predict([x, y])
    np.testing.assert_array_equal(np.argmax(logits, axis=1), y)
