import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.inner_optimizers import Adam, GradientDescent, InnerOptimizer, Momentum


def directions(optimizer, gradients):
    """Return the directions for a sequence of gradients."""
    slots = optimizer.start([tf.zeros_like(gradients[0])])
    found = []
    for step, gradient in enumerate(gradients):
        (direction,), slots = optimizer.direction([gradient], slots, step)
        found.append(direction.numpy())
    return np.array(found)


GRADIENTS = tf.constant([[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]], tf.float64)


def test_gradient_descent_is_the_gradient():
    np.testing.assert_array_equal(directions(GradientDescent(), GRADIENTS), GRADIENTS)


def test_momentum_by_hand():
    found = directions(Momentum(0.5), GRADIENTS)
    np.testing.assert_allclose(found, [[1, -2], [1, -1], [3.5, 0.5]])


def test_adams_first_step_is_the_sign():
    np.testing.assert_allclose(directions(Adam(), GRADIENTS)[0], [1, -1], rtol=1e-6)


def test_adam_without_first_moment_divides_by_the_root_of_the_mean_square():
    found = directions(Adam(beta_1=0.0, beta_2=0.5, epsilon=1e-12), GRADIENTS)
    g = GRADIENTS.numpy()
    second = (0.25 * g[0] ** 2 + 0.5 * g[1] ** 2) / 0.75
    np.testing.assert_allclose(found[1], g[1] / np.sqrt(second), rtol=1e-9)


def test_adams_derivative_is_finite_where_the_gradient_is_0():
    gradient = tf.zeros(2, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(gradient)
        slots = Adam().start([gradient])
        (direction,), _ = Adam().direction([gradient], slots, 0)
    assert np.isfinite(tape.gradient(direction, gradient)).all()


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_adam_has_float32_moments_for_16_bits(dtype):
    """In bfloat16 beta_2 would be 1, in float16 epsilon 0."""
    zero = tf.constant([0.0, 0.5], dtype)
    for found in directions(Adam(), [zero] * 3):
        assert found.dtype == dtype.as_numpy_dtype
        np.testing.assert_allclose(found.astype("float32"), [0, 1], rtol=0.01)


def test_the_base_is_abstract():
    with pytest.raises(NotImplementedError, match="must implement direction"):
        InnerOptimizer().direction([], (), 0)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Momentum(1.0), ValueError, "`momentum` must be from 0 to below 1"),
        (lambda: Momentum("x"), TypeError, "`momentum` must be a number"),
        (lambda: Adam(beta_1=-0.1), ValueError, "`beta_1`"),
        (lambda: Adam(beta_2=2), ValueError, "`beta_2`"),
        (lambda: Adam(epsilon=0), ValueError, "`epsilon` must be a finite number above 0"),
        (lambda: Adam(epsilon=float("inf")), ValueError, "`epsilon` must be a finite number"),
    ],
)
def test_bad_settings(make, error, match):
    with pytest.raises(error, match=match):
        make()
