"""Modes of BatchNormalization, and moments whose derivatives are right, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from deepchem_meta.metalearning._batch_norm import MODES, batch_norm_mode, exact_moments

EPSILON = 1e-3
rng = np.random.default_rng(0)
X = rng.normal(2.0, 3.0, size=(6, 3))
MEAN, VARIANCE = np.array([1.0, -1.0, 0.5]), np.array([2.0, 0.5, 1.0])


def make(axis=-1, shape=(6, 3), **options):
    """Return a layer with moving averages of its own."""
    layer = layers.BatchNormalization(axis=axis, dtype="float64", **options)
    layer.build(shape)
    if shape[axis] == 3:
        layer.moving_mean.assign(MEAN)
        layer.moving_variance.assign(VARIANCE)
    return layer


def normalise(x, mean, variance):
    return (x - mean) / np.sqrt(variance + EPSILON)


def compute(layer, mode, role, training, weights=None, x=X, **options):
    if weights is not None:
        weights = tf.constant(weights)
    with batch_norm_mode([layer], mode, role, weights):
        return layer(tf.constant(x), training=training, **options).numpy()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("role", ["support", "query"])
@pytest.mark.parametrize("mode", MODES)
def test_whose_statistics(mode, role, training):
    of_batch = {"transductive": True, "support": role == "support", "running": training}[mode]
    statistics = (X.mean(0), X.var(0)) if of_batch else (MEAN, VARIANCE)
    layer = make()
    found = compute(layer, mode, role, training)
    np.testing.assert_allclose(found, normalise(X, *statistics), rtol=1e-9)
    # What the moving averages then are: of the support set alone in "support".
    share = 0.0 if not of_batch else 1.0 if mode == "support" else 0.01
    for moved, old, new in (
        (layer.moving_mean, MEAN, X.mean(0)),
        (layer.moving_variance, VARIANCE, X.var(0)),
    ):
        np.testing.assert_allclose(moved, (1 - share) * old + share * new, rtol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_a_frozen_layer_has_its_moving_averages(mode):
    layer = make(trainable=False)
    for role in ("support", "query"):
        found = compute(layer, mode, role, True)
        np.testing.assert_allclose(found, normalise(X, MEAN, VARIANCE), rtol=1e-9)
    np.testing.assert_array_equal(layer.moving_mean, MEAN)


def test_layers_are_as_before_afterwards():
    layer = make(momentum=0.7)
    with pytest.raises(ZeroDivisionError), batch_norm_mode([layer], "support", "support", None):
        assert layer.momentum == 0.0
        raise ZeroDivisionError
    assert layer.momentum == 0.7
    assert "call" not in vars(layer)
    np.testing.assert_allclose(layer(X, training=False), normalise(X, MEAN, VARIANCE), rtol=1e-9)
    assert layer.get_config()["momentum"] == 0.7


def test_a_subclass_keeps_its_own_call():
    class Doubled(layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    layer = Doubled(dtype="float64")
    found = compute(layer, "transductive", "query", False)
    np.testing.assert_allclose(found, 2 * normalise(X, X.mean(0), X.var(0)), rtol=1e-9)


# Examples of weight 0. Keras adds 1e-7 to the sum of a mask.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(6, 3), (6, 4, 3), (6, 2, 2, 3)])
def test_examples_of_weight_zero_do_not_count(mode, shape):
    x = rng.normal(size=shape)
    weights = np.array([1.0, 0.5, 0.0, 2.0, 0.0, 3.0])
    kept = x[weights != 0]
    axes = tuple(range(x.ndim - 1))
    layer, alone = make(shape=shape), make(shape=shape)
    found = compute(layer, mode, "support", True, weights, x)
    expected = normalise(x, kept.mean(axes), kept.var(axes))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    compute(alone, mode, "support", True, x=kept)
    for a, b in zip(layer.non_trainable_weights, alone.non_trainable_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_channels_first():
    x = rng.normal(size=(4, 3, 5))
    layer = make(axis=1, shape=x.shape)
    found = compute(layer, "transductive", "query", True, np.array([1.0, 1.0, 1.0, 0.0]), x)
    kept = x[:3]
    mean, variance = (f((0, 2), keepdims=True) for f in (kept.mean, kept.var))
    np.testing.assert_allclose(found, normalise(x, mean, variance), rtol=1e-5, atol=1e-6)


def test_weights_with_more_axes_than_the_example():
    """An example counts if any of its weights does."""
    weights = np.ones((6, 2))
    weights[1, 0] = 0.0
    weights[4] = 0.0
    found = compute(make(), "transductive", "query", True, weights)
    kept = np.delete(X, 4, axis=0)
    np.testing.assert_allclose(found, normalise(X, kept.mean(0), kept.var(0)), rtol=1e-5)


def test_weights_do_not_reach_a_layer_whose_first_axis_is_another():
    """Inside a layer that folds its inputs into the batch axis, no row is an example."""
    found = compute(make(), "transductive", "query", True, np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, normalise(X, X.mean(0), X.var(0)), rtol=1e-9)


def test_only_padding_is_finite():
    assert np.isfinite(compute(make(), "transductive", "query", True, np.zeros(6))).all()


@pytest.mark.parametrize("counted", [None, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]])
def test_gradients_are_those_without_padding(counted):
    """First and second derivatives, against central differences of the statistics written out."""
    weights = None if counted is None else tf.constant(counted)
    kept = X if counted is None else X[np.array(counted) != 0]
    factor = np.random.default_rng(1).normal(size=kept.shape)
    layer = make()
    rows = tf.where(tf.constant([True] * 6) if weights is None else weights != 0)[:, 0]

    def loss(scale):
        with exact_moments(), batch_norm_mode([layer], "transductive", "query", weights):
            y = layer(tf.tanh(scale * X), training=True)
        return tf.reduce_sum(factor * tf.tanh(tf.gather(y, rows)))

    def by_hand(scale):
        x = np.tanh(scale * kept)
        return np.sum(factor * np.tanh(normalise(x, x.mean(0), x.var(0))))

    at = 0.3
    scale = tf.constant(at, tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(scale)
        with tf.GradientTape() as inner:
            inner.watch(scale)
            value = loss(scale)
        first = inner.gradient(value, scale)
    second = outer.gradient(first, scale)
    h = 1e-4
    below, middle, above = (by_hand(at + move) for move in (-h, 0.0, h))
    assert float(value) == pytest.approx(middle, rel=1e-6)
    assert float(first) == pytest.approx((above - below) / (2 * h), rel=1e-5)
    assert float(second) == pytest.approx((above - 2 * middle + below) / h**2, rel=1e-4)


# Moments.


@pytest.mark.parametrize("axes", [[0], [1], [0, 1], [0, 2], [-1]])
@pytest.mark.parametrize("keepdims", [True, False])
def test_moments(axes, keepdims):
    x = rng.normal(size=(4, 3, 2))
    with exact_moments():
        mean, variance = tf.nn.moments(tf.constant(x), axes=axes, keepdims=keepdims)
    np.testing.assert_allclose(mean, x.mean(tuple(axes), keepdims=keepdims), rtol=1e-12)
    np.testing.assert_allclose(variance, x.var(tuple(axes), keepdims=keepdims), rtol=1e-12)


def test_second_derivative_of_the_variance():
    """The Hessian of a variance is 2/n (I - 1/n), of which TensorFlow drops the 1/n."""
    x = tf.constant(X[:, 0])
    with exact_moments(), tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            variance = tf.nn.moments(x, axes=[0])[1]
        gradient = inner.gradient(variance, x)
    n = len(X)
    np.testing.assert_allclose(gradient, 2 / n * (X[:, 0] - X[:, 0].mean()), rtol=1e-12)
    hessian = outer.jacobian(gradient, x)
    np.testing.assert_allclose(hessian, 2 / n * (np.eye(n) - 1 / n), atol=1e-15)


def test_tensorflows_moments_are_back_afterwards():
    before = tf.nn.moments
    with exact_moments():
        with exact_moments():
            assert tf.nn.moments is not before
        assert tf.nn.moments is not before
    assert tf.nn.moments is before
    with pytest.raises(ZeroDivisionError), exact_moments():
        raise ZeroDivisionError
    assert tf.nn.moments is before


@pytest.mark.parametrize("make_layer", [layers.LayerNormalization, layers.GroupNormalization])
def test_other_normalisation_is_as_it_was(make_layer):
    keras.utils.set_random_seed(0)
    layer = (
        make_layer(dtype="float64")
        if make_layer is layers.LayerNormalization
        else make_layer(3, dtype="float64")
    )
    before = layer(X)
    with exact_moments():
        np.testing.assert_allclose(layer(X), before, rtol=1e-12)
