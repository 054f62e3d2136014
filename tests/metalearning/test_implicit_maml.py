import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes

from deepchem_meta.metalearning import ImplicitMAML
from deepchem_meta.metalearning.implicit_maml import conjugate_gradients

PLAIN = {"task_execution": "looped", "jit_compile": False}


def test_conjugate_gradients_solve_in_as_many_steps_as_unknowns():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(5, 5))
    matrix, right = factor @ factor.T + np.eye(5), rng.normal(size=5)

    def product(parts):
        whole = tf.linalg.matvec(matrix, tf.concat(parts, 0))
        return [whole[:2], whole[2:]]

    parts = [tf.constant(right[:2]), tf.constant(right[2:])]
    found = np.concatenate(conjugate_gradients(product, parts, 5))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10)


def test_the_solution_of_nothing_is_nothing():
    (found,) = conjugate_gradients(lambda v: v, [tf.zeros(3)], 4)
    np.testing.assert_array_equal(found, np.zeros(3))


@pytest.mark.parametrize("regularization", [0.5, 2.0])
def test_exact_implicit_gradient_on_a_quadratic(regularization):
    """The minimum is (A + l I)^-1 (A c + l v), whose derivative by v is l (A + l I)^-1."""
    learner = Quadratic()
    algorithm = ImplicitMAML(learner, 0.2, 60, regularization=regularization, cg_steps=3, **PLAIN)
    (a, c), (b, d) = support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    v = learner.v.numpy()
    gradient, loss = np.zeros(3), 0.0
    for A, C, B, D in zip(a, c, b, d, strict=True):
        pulled = A + regularization * np.eye(3)
        end = np.linalg.solve(pulled, A @ C + regularization * v)
        loss += (end - D) @ B @ (end - D) / 4
        gradient += regularization * np.linalg.solve(pulled, B @ (end - D)) / 2
    assert result.loss == pytest.approx(loss, rel=1e-7)
    np.testing.assert_allclose(result.gradients[0], gradient, rtol=1e-6)


def test_central_differences_of_a_net_where_the_inner_loop_has_converged():
    learner = Sine(hidden=3, dtype="float64", points=4)
    options = {"regularization": 15.0, "cg_steps": 30, **PLAIN}
    algorithm = ImplicitMAML(learner, 0.02, 80, **options)
    support, query = episodes(learner, 2)
    found = algorithm.meta_gradient(support, query).gradients
    rng = np.random.default_rng(1)
    moves = [rng.normal(size=v.shape) for v in learner.variables]
    start = [v.numpy() for v in learner.variables]
    losses = []
    for sign in (1, -1):
        for variable, value, move in zip(learner.variables, start, moves, strict=True):
            variable.assign(value + sign * 1e-5 * move)
        losses.append(algorithm.meta_gradient(support, query).loss)
    along = sum(np.sum(g * m) for g, m in zip(found, moves, strict=True))
    assert along == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"regularization": 0}, ValueError, "`regularization` must be a finite number above 0"),
        ({"cg_steps": 0}, ValueError, "`cg_steps` must be at least 1"),
        ({"learning_rate": tf.Variable(0.1)}, TypeError, "does not depend on it"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        ImplicitMAML(Quadratic(), **options)
