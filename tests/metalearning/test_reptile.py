import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, episodes

from deepchem_meta.metalearning import FineTuning, ImplicitMAML, Reptile
from deepchem_meta.metalearning.inner_optimizers import GradientDescent

PLAIN = {"task_execution": "looped", "jit_compile": False}


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_closed_form_and_first_order_expansion(steps):
    """On a quadratic the way back is (I - (I - r A)^K) (v - c); its expansion is the paper's."""
    rate = 1e-4
    learner = Quadratic()
    algorithm = Reptile(learner, rate, steps, inner_optimizer=GradientDescent(), **PLAIN)
    (a, c), _ = support, query = episodes(learner, 3)
    (found,) = algorithm.meta_gradient(support, query).gradients
    v = learner.v.numpy()
    expected, expansion = np.zeros(3), np.zeros(3)
    for A, C in zip(a, c, strict=True):
        shrink = np.linalg.matrix_power(np.eye(3) - rate * A, steps)
        expected += (v - shrink @ v - (np.eye(3) - shrink) @ C) / 3
        gradient = A @ (v - C)
        # Sum of the K gradients, of which step k is g - r k A g to first order.
        expansion += rate * (steps * gradient - rate * steps * (steps - 1) / 2 * A @ gradient) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(found, expansion, rtol=1e-5)


def test_a_step_with_rate_1_is_the_mean_of_the_adapted_weights():
    learner = Quadratic()
    algorithm = Reptile(learner, 0.01, 3, **PLAIN)
    support, query = episodes(learner, 4)
    adapted = [
        algorithm.adapt([array[task] for array in support]).variables[0] for task in range(4)
    ]
    algorithm.train_on_batch(support, query)
    np.testing.assert_allclose(learner.v, np.mean(adapted, axis=0), rtol=1e-10)


@pytest.mark.parametrize("algorithm", [Reptile, ImplicitMAML, FineTuning])
@pytest.mark.parametrize("option", ["first_order", "recompute"])
def test_options_of_a_meta_gradient_through_the_steps(algorithm, option):
    with pytest.raises(TypeError, match=f"`{option}` must not be given"):
        algorithm(Quadratic(), **{option: True})


def test_a_variable_as_rate():
    with pytest.raises(TypeError, match="no gradient to learn it by"):
        Reptile(Quadratic(), tf.Variable(0.1))
