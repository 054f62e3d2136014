import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Sine, episodes
from oracles import central_differences
from scipy.special import log_softmax
from sklearn.linear_model import Ridge

from deepchem_meta.engine.learner_model import Embedding
from deepchem_meta.metalearning import RidgeRegressionHead

PLAIN = {"task_execution": "looped", "jit_compile": False}


@pytest.mark.parametrize("examples", [4, 30])  # fewer and more than features
@pytest.mark.parametrize("weighted", [False, True])
def test_solves_as_scikit_learn(examples, weighted):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(examples, 7)) + 1, rng.normal(size=(examples, 2))
    weights = rng.uniform(0.5, 2, examples) if weighted else None
    algorithm = RidgeRegressionHead(Sine(dtype="float64"), regularization=0.3)
    embedded = Embedding(*map(tf.constant, (x, y)), weights, None, [])
    solved, intercept = algorithm.solve_head(embedded)
    expected = Ridge(0.3).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(np.transpose(solved), expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(intercept, expected.intercept_, rtol=1e-9)


def test_padding_does_not_count():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    algorithm = RidgeRegressionHead(Sine(dtype="float64"))
    plain = algorithm.solve_head(Embedding(*map(tf.constant, (x[:4], y[:4])), None, None, []))
    weights = np.array([1.0, 1, 1, 1, 0, 0])
    padded = algorithm.solve_head(Embedding(*map(tf.constant, (x, y)), weights, None, []))
    for a, b in zip(plain, padded, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def embed(learner, x):
    w, b = (v.numpy() for v in learner.variables[:2])
    return np.tanh(x @ w + b)


def ridge_loss(learner, support, query, alpha, scale=None):
    """Return the loss with scikit-learn's solution, of regression or of three classes."""
    losses = []
    for x, y, qx, qy in zip(*support, *query, strict=True):
        target = np.eye(3)[y] if scale else y
        ridge = Ridge(alpha).fit(embed(learner, x), target)
        found = ridge.predict(embed(learner, qx)).reshape(len(qx), -1)
        if scale:
            losses.append(-np.mean(log_softmax(scale * found, axis=1)[np.arange(len(qy)), qy]))
        else:
            losses.append(np.mean((found - qy) ** 2))
    return np.mean(losses)


@pytest.mark.parametrize("kind", [Sine, Classes])
def test_loss_and_meta_gradient_through_the_solution(kind):
    """Against scikit-learn, and central differences of its loss and of our own."""
    learner = kind(hidden=4, dtype="float64")
    algorithm = RidgeRegressionHead(learner, ways=3 if kind is Classes else None, **PLAIN)
    scale = 1.0 if kind is Classes else None
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)

    def oracle():
        return ridge_loss(learner, support, query, algorithm.regularization, scale)

    assert result.loss == pytest.approx(oracle(), rel=1e-9)
    by_oracle = central_differences(oracle, learner.variables[:2])
    for found, expected in zip(result.gradients[:2], by_oracle, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    own = result.variables[len(learner.variables) :]
    assert len(own) == (2 if kind is Classes else 1)
    expected = central_differences(lambda: algorithm.meta_gradient(support, query).loss, own)
    for found, other in zip(result.gradients[-len(own) :], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)


def test_closed_form_of_one_example_a_side():
    """With features x of -1 and 1 the slope of y = x / 2 is 1 / (2 + lambda)."""
    algorithm = RidgeRegressionHead(Sine(dtype="float64"), regularization=1.0)
    x = tf.constant([[-1.0], [1.0]], tf.float64)
    solved, intercept = algorithm.solve_head(Embedding(x, x / 2, None, None, []))
    assert float(solved[0, 0]) == pytest.approx(1 / 3, rel=1e-12)
    assert float(intercept[0]) == pytest.approx(0.0, abs=1e-12)


def test_classes_without_ways_are_refused():
    learner = Classes()
    with pytest.raises(ValueError, match="`ways` must be given for targets that are classes"):
        RidgeRegressionHead(learner).fit(1)


@pytest.mark.parametrize("examples", [4, 8, 9, 100])
@pytest.mark.parametrize("regularization", [1e-4, 1e-3, 1.0])
def test_the_smaller_system_is_solved(examples, regularization):
    """In float32, against scikit-learn in float64; the larger system was off by 5e-3."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(examples, 8)).astype("float32")
    y = (x @ rng.normal(size=(8, 1)) + 0.1 * rng.normal(size=(examples, 1))).astype("float32")

    class Linear(Sine):
        def compute_embedding(self, inputs, variables, training):
            return inputs[0] + 0.0 * variables[0][0, 0], inputs[1]

    head = RidgeRegressionHead(Linear(), regularization=regularization)
    expected = Ridge(alpha=regularization).fit(x.astype("float64"), y.astype("float64"))
    for batch in ([x, y], [x[:-1], y[:-1]], [x, y]):  # the second one with a size left open
        weights, intercept = head.adapt(batch).head[:2]
    np.testing.assert_allclose(weights[:, 0], np.ravel(expected.coef_), rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(intercept, np.ravel(expected.intercept_), rtol=2e-4, atol=2e-5)


def test_targets_of_one_axis_and_of_two_in_any_order():
    learner = Sine()
    x, y = np.ones((10, 1), "float32"), np.ones((10, 1), "float32")
    for order in ([y, y.ravel()], [y.ravel(), y]):
        head = RidgeRegressionHead(learner)
        for target in (*order, *order):
            _, outputs = head.adapt([x, target]).predict_on_batch([x[:3], target[:3]])
            assert outputs.shape == (3, 1)
