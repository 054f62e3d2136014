import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, episodes

from deepchem_meta.metalearning import MAMLPlusPlus, MetaSGD

PLAIN = {"task_execution": "looped", "jit_compile": False}


def test_closed_form():
    """With f = v - r o A (v - c) the query loss (f - d)' B (f - d) / 2 has the gradients below."""
    learner = Quadratic()
    algorithm = MetaSGD(learner, 0.1, **PLAIN)
    rate = np.array([0.1, 0.2, -0.05])
    algorithm.rates[0].assign(rate)
    (a, c), (b, d) = support, query = episodes(learner, 2)
    by_v, by_rate = algorithm.meta_gradient(support, query).gradients
    v = learner.v.numpy()
    expected_v, expected_rate = np.zeros(3), np.zeros(3)
    for A, C, B, D in zip(a, c, b, d, strict=True):
        end = v - rate * (A @ (v - C))
        slope = B @ (end - D)
        expected_v += (np.eye(3) - rate[:, None] * A).T @ slope / 2
        expected_rate += -(A @ (v - C)) * slope / 2
    np.testing.assert_allclose(by_v, expected_v, rtol=1e-12)
    np.testing.assert_allclose(by_rate, expected_rate, rtol=1e-12)


def test_rates_are_learned_saved_and_used(tmp_path):
    learner = Quadratic()
    algorithm = MetaSGD(learner, 0.1, model_dir=tmp_path, **PLAIN)
    algorithm.fit(5)
    rates = algorithm.rates[0].numpy()
    assert len(np.unique(rates)) == 3
    other = MetaSGD(Quadratic(), 0.1, model_dir=tmp_path, **PLAIN)
    other.restore()
    np.testing.assert_array_equal(other.rates[0], rates)
    learner.select_task()
    matrix, center = learner.get_batch()
    (adapted,) = algorithm.adapt([matrix, center]).variables
    v = learner.v.numpy()
    expected = v - rates * (matrix @ (v - center))
    np.testing.assert_allclose(adapted, expected, rtol=1e-12)


def test_a_variable_as_rate():
    with pytest.raises(TypeError, match="the rate of each weight starts"):
        MetaSGD(Quadratic(), tf.Variable(0.1))


@pytest.mark.parametrize("algorithm", [MetaSGD, MAMLPlusPlus])
def test_the_rate_that_others_started_from_cannot_be_changed(algorithm):
    made = algorithm(Quadratic(), 0.1)
    with pytest.raises(ValueError, match="assign to these"):
        made.learning_rate = 0.2
    assert made.learning_rate == 0.1
