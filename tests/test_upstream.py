"""Faults of TensorFlow and Keras that the documentation warns of, and the ways round them.

When one of these tests fails because the fault is gone, the warning in docs/getting_started.md
and the entry under "Known upstream problems" in docs/development.md can go.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

EXAMPLES, INPUTS, FEATURES = 5, 3, 4


def by_moments(x):
    mean, variance = tf.nn.moments(x, axes=[0])
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def by_reductions(x):
    mean, variance = tf.reduce_mean(x, axis=0), tf.math.reduce_variance(x, axis=0)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def by_keras_ops(x):
    mean, variance = keras.ops.mean(x, axis=0), keras.ops.var(x, axis=0)
    return (x - mean) * keras.ops.rsqrt(variance + 1e-3)


def by_batch_norm(x):
    return keras.layers.BatchNormalization(dtype="float64")(x, training=True)


def by_moving_averages(x):
    return keras.layers.BatchNormalization(dtype="float64")(x, training=False)


def by_layer_norm(x):
    return keras.layers.LayerNormalization(dtype="float64")(x)


def by_group_norm(x):
    return keras.layers.GroupNormalization(groups=2, dtype="float64")(x)


def gradient(normalize, weights, data):
    """Differentiate a loss of a normalised dense layer once."""
    x, c = data
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = tf.reduce_sum(c * tf.tanh(normalize(x @ weights)))
    return tape.gradient(loss, weights)


def second_derivative_error(normalize):
    """Compare the Hessian with central differences of the gradient, in float64.

    Returns
    -------
    float
        The largest difference, relative to the largest entry.
    """
    rng = np.random.default_rng(0)
    data = rng.normal(size=(EXAMPLES, INPUTS)), rng.normal(size=(EXAMPLES, FEATURES))
    start, step = rng.normal(size=(INPUTS, FEATURES)), 1e-5
    weights = tf.constant(start)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        first = gradient(normalize, weights, data)
    found = tape.jacobian(first, weights).numpy()
    expected = np.empty_like(found)
    for index in np.ndindex(start.shape):
        moved = np.zeros_like(start)
        moved[index] = step
        above, below = (
            gradient(normalize, tf.constant(start + sign * moved), data) for sign in (1, -1)
        )
        expected[(..., *index)] = (above - below) / (2 * step)
    return np.abs(found - expected).max() / np.abs(expected).max()


# The figures are those that the documentation gives.
@pytest.mark.parametrize(
    ("normalize", "documented"),
    [(by_moments, 0.066), (by_batch_norm, 0.066), (by_layer_norm, 0.059), (by_group_norm, 4.3)],
)
def test_second_derivatives_through_moments_are_wrong(normalize, documented):
    """`tf.nn.moments` stops the gradient of the mean inside the variance."""
    error = second_derivative_error(normalize)
    assert error > 1e-6, (
        f"{normalize.__name__}: the second derivative is right now (error {error:.1e}). "
        "The warning on normalisation in docs/getting_started.md and its entry in "
        "docs/development.md can go, for this TensorFlow and Keras."
    )
    assert error == pytest.approx(documented, rel=0.05), (
        f"{normalize.__name__}: the error is another one than documented. "
        "Correct it here and in docs/development.md."
    )


@pytest.mark.parametrize("normalize", [by_reductions, by_keras_ops, by_moving_averages])
def test_second_derivatives_through_plain_reductions_are_right(normalize):
    assert second_derivative_error(normalize) < 1e-8
