import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Function, episodes
from oracles import central_differences
from scipy.special import log_softmax
from sklearn.neighbors import NearestCentroid

from deepchem_meta.engine.learner_model import Embedding
from deepchem_meta.metalearning import KerasLearner, ProtoNet
from deepchem_meta.tasks import FewShotClassificationTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}


def embed(learner, x):
    w, b = (v.numpy() for v in learner.variables[:2])
    return np.tanh(x @ w + b)


def numpy_loss(learner, support, query, likeness):
    """Return the mean over tasks of the cross-entropy of a function of features and prototypes."""
    losses = []
    for x, y, qx, qy in zip(*support, *query, strict=True):
        features, queries = embed(learner, x), embed(learner, qx)
        centers = np.stack([features[y == k].mean(axis=0) for k in range(3)])
        logits = np.array([[likeness(q, c) for c in centers] for q in queries])
        losses.append(-np.mean(log_softmax(logits, axis=1)[np.arange(len(qy)), qy]))
    return np.mean(losses)


def euclidean(q, c):
    return -np.sum((q - c) ** 2)


def cosine(q, c):
    return 10 * q @ c / np.linalg.norm(q) / np.linalg.norm(c)


def mahalanobis_loss(learner, support, query):
    """Return the mean cross-entropy over tasks, with covariances and inverses of NumPy."""
    losses = []
    for x, y, qx, qy in zip(*support, *query, strict=True):
        features, queries = embed(learner, x), embed(learner, qx)
        whole, logits = np.cov(features.T), []
        for k in range(3):
            own = features[y == k]
            share = len(own) / (len(own) + 1)
            spread = share * np.cov(own.T) + (1 - share) * whole + np.eye(features.shape[1])
            apart = queries - own.mean(axis=0)
            logits.append(-0.5 * np.einsum("qi,ij,qj->q", apart, np.linalg.inv(spread), apart))
        scores = log_softmax(np.transpose(logits), axis=1)
        losses.append(-np.mean(scores[np.arange(len(qy)), qy]))
    return np.mean(losses)


def test_mahalanobis_loss_and_meta_gradient():
    learner = Classes(dtype="float64", points=12)
    algorithm = ProtoNet(learner, distance="mahalanobis", ways=3, **PLAIN)
    support, query = episodes(learner, 2)
    assert all(np.bincount(y, minlength=3).min() > 1 for y in support[1])
    result = algorithm.meta_gradient(support, query)
    assert result.loss == pytest.approx(mahalanobis_loss(learner, support, query), rel=1e-10)
    expected = central_differences(
        lambda: mahalanobis_loss(learner, support, query), learner.variables[:2]
    )
    for found, other in zip(result.gradients[:2], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-7)


def test_mahalanobis_distance_leaves_padding_out():
    rng = np.random.default_rng(0)
    x, y, new = rng.normal(size=(8, 3)), np.array([0, 0, 1, 1, 1, 0, 1, 1]), rng.normal(size=(2, 3))
    algorithm = ProtoNet(Classes(dtype="float64"), distance="mahalanobis", ways=2, **PLAIN)
    weights = np.array([1.0, 1, 1, 1, 1, 0, 0, 0])
    short, padded = (
        algorithm.apply_head(
            algorithm.solve_head(Embedding(tf.constant(a), tf.constant(b), w, None, [])),
            tf.constant(new),
        )
        for a, b, w in ((x[:5], y[:5], None), (x, y, weights))
    )
    np.testing.assert_allclose(short, padded, rtol=1e-12)


@pytest.mark.parametrize(("distance", "likeness"), [("euclidean", euclidean), ("cosine", cosine)])
def test_loss_and_meta_gradient(distance, likeness):
    """The loss against NumPy, its gradient against tapes by hand and central differences."""
    learner = Classes(dtype="float64")
    algorithm = ProtoNet(learner, distance=distance, ways=3, **PLAIN)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    assert result.loss == pytest.approx(numpy_loss(learner, support, query, likeness), rel=1e-10)
    assert [g is None for g in result.gradients] == [False, False, True, True, False]
    log_temperature = result.variables[-1]
    moved = [*learner.variables[:2], log_temperature]
    expected = central_differences(lambda: algorithm.meta_gradient(support, query).loss, moved)
    for found, other in zip(result.gradients[:2] + result.gradients[-1:], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)
    by_hand = central_differences(
        lambda: numpy_loss(learner, support, query, likeness), learner.variables[:2]
    )
    for found, other in zip(result.gradients[:2], by_hand, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)


class Scaled(Function):
    """The embedding s x of numbers x, learned is s."""

    def __init__(self):
        self.s = tf.Variable(0.7, dtype=tf.float64)
        super().__init__([self.s], lambda inputs, variables: variables[0])

    def compute_embedding(self, inputs, variables, training):
        x, y = inputs
        return variables[0] * x[:, tf.newaxis], y


def test_closed_form_of_the_gradient():
    """Of logits -s^2 (x - c_k)^2 it is the mean of sum_k (y_k - p_k) 2 s (x - c_k)^2."""
    learner = Scaled()
    algorithm = ProtoNet(learner, temperature=1.0, ways=2, **PLAIN)
    x, y = np.array([[0.0, 1.0, 2.0, 5.0]]), np.array([[0, 0, 1, 1]])
    qx, qy = np.array([[1.0, 2.2]]), np.array([[0, 1]])
    (found,) = algorithm.meta_gradient([x, y], [qx, qy]).gradients
    squares = (qx[0][:, None] - np.array([0.5, 3.5])) ** 2
    p = np.exp(-0.49 * squares)
    p /= p.sum(axis=1, keepdims=True)
    expected = np.mean(np.sum((np.eye(2)[qy[0]] - p) * 1.4 * squares, axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_predicts_the_nearest_centroid_of_scikit_learn():
    learner = Classes(points=9)
    algorithm = ProtoNet(learner, ways=3)
    for _ in range(5):
        learner.select_task()
        x, y = learner.get_batch()
        query = learner.get_batch()
        adapted = algorithm.adapt([x, y])
        expected = NearestCentroid().fit(embed(learner, x), y).predict(embed(learner, query[0]))
        np.testing.assert_array_equal(np.argmax(adapted.predict(query), axis=1), expected)
        np.testing.assert_allclose(
            adapted.head[0],
            NearestCentroid().fit(embed(learner, x), y).centroids_,
            rtol=1e-5,
            atol=1e-6,
        )


def test_temperature_is_learned_from_its_start_or_fixed():
    assert ProtoNet(Classes(), ways=3).temperature == pytest.approx(1.0)
    assert ProtoNet(Classes(), ways=3, distance="cosine").temperature == pytest.approx(10.0)
    for temperature, moves in ((None, True), (2.5, False)):
        algorithm = ProtoNet(Classes(), ways=3, temperature=temperature)
        start = algorithm.temperature
        algorithm.fit(3)
        assert (algorithm.temperature != start) == moves
    with pytest.raises(ValueError, match="`temperature` must be"):
        ProtoNet(Classes(), ways=3, temperature=-1.0)


def test_more_ways_in_training_than_in_the_test():
    import keras

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 6)
    x = (rng.normal(size=(12, 4))[labels] + 0.1 * rng.normal(size=(72, 4))).astype("float32")
    tasks = FewShotClassificationTasks(x, labels, ways=6, shots=2, queries=3)
    model = keras.Sequential([keras.layers.Dense(6)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = KerasLearner(model, loss, tasks, metrics=["accuracy"])
    algorithm = ProtoNet(learner)
    algorithm.fit(20)
    found = algorithm.evaluate(tasks.replace(ways=3), n_tasks=20, optimization_steps=(0, 1, 5))
    assert found.optimization_steps == (0,)
    assert found.mean["accuracy"][0] > 0.9
    assert found.mean["loss"][0] < 1.0
    with pytest.raises(ValueError, match="tasks of 9 classes for ways=6"):
        algorithm.evaluate(tasks.replace(ways=9))
    algorithm.ways = 9
    assert algorithm.evaluate(tasks.replace(ways=9), n_tasks=20).mean["accuracy"][0] > 0.8
