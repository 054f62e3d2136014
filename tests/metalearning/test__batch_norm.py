import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.metalearning._batch_norm import batch_norm_mode, exact_moments

X = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")


def layer():
    made = keras.layers.BatchNormalization()
    made.build((None, 2))
    made.moving_mean.assign([5.0, 6.0])
    return made


def compute(made, mode, role, training, weights=None):
    with batch_norm_mode([made], mode, role, weights):
        return made(X, training=training).numpy()


def by_batch(rows=slice(None)):
    return (X - X[rows].mean(0)) / np.sqrt(X[rows].var(0) + 1e-3)


def by_averages():
    return (X - [5.0, 6.0]) / np.sqrt(1 + 1e-3)


@pytest.mark.parametrize(
    ("mode", "role", "training", "expected"),
    [
        ("transductive", "support", True, by_batch),
        ("transductive", "query", False, by_batch),
        ("support", "support", False, by_batch),
        ("support", "query", True, by_averages),
        ("running", "support", True, by_batch),
        ("running", "query", False, by_averages),
    ],
)
def test_where_statistics_come_from(mode, role, training, expected):
    found = compute(layer(), mode, role, training)
    np.testing.assert_allclose(found, expected(), rtol=1e-4, atol=1e-5)


def test_what_the_averages_hold_afterwards():
    made = layer()
    compute(made, "support", "support", True)
    np.testing.assert_allclose(made.moving_mean, X.mean(0), rtol=1e-5)
    assert made.momentum == 0.99 and "call" not in vars(made)
    made = layer()
    compute(made, "running", "support", True)
    np.testing.assert_allclose(made.moving_mean, [0.99 * 5, 0.99 * 6] + 0.01 * X.mean(0), rtol=1e-5)


def test_padding_does_not_count():
    weights = tf.constant([1.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    found = compute(layer(), "transductive", "support", True, weights)
    np.testing.assert_allclose(found, by_batch(slice(4)), rtol=1e-4, atol=1e-5)


def test_all_is_as_before_after_an_exception():
    made, moments = layer(), tf.nn.moments
    with (
        pytest.raises(RuntimeError),
        exact_moments(),
        batch_norm_mode([made], "support", "query", None),
    ):
        raise RuntimeError
    assert tf.nn.moments is moments
    assert made.momentum == 0.99 and "call" not in vars(made)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axes", [[0], [0, 1]])
def test_moments_are_tensorflows(axes, keepdims):
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 4, 2)))
    expected = tf.nn.moments(x, axes, keepdims=keepdims)
    with exact_moments():
        found = tf.nn.moments(x, axes, keepdims=keepdims)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_second_derivative_of_the_variance():
    """The variance of x has the Hessian 2 (I - 1/n) / n."""
    x = tf.constant([1.0, 4.0, 2.0], tf.float64)
    with exact_moments(), tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            variance = tf.nn.moments(x, [0])[1]
        gradient = inner.gradient(variance, x)
    expected = 2 / 3 * (np.eye(3) - 1 / 3)
    np.testing.assert_allclose(outer.jacobian(gradient, x), expected, rtol=1e-12, atol=1e-15)
